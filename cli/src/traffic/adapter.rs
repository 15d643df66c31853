//! A socket's sends and receives as AsyncRead and AsyncWrite, until the client's own streams have them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use farsock_client::{Bytes, RemoteSocket, ShutdownHow};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const CHUNK: usize = 256 << 10;

type Call<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

pub(super) struct Adapter {
    socket: Arc<RemoteSocket>,
    receive: Option<Call<Bytes>>,
    received: Bytes,
    send: Option<Call<()>>,
    ending: bool,
}

impl Adapter {
    pub(super) fn new(socket: RemoteSocket) -> Self {
        Self {
            socket: Arc::new(socket),
            receive: None,
            received: Bytes::new(),
            send: None,
            ending: false,
        }
    }
}

impl AsyncRead for Adapter {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.received.is_empty() {
            let socket = &this.socket;
            let receive = this.receive.get_or_insert_with(|| {
                let socket = Arc::clone(socket);
                Box::pin(async move { Ok(socket.recv(CHUNK).await?.data) })
            });
            let received = ready!(receive.as_mut().poll(cx));
            this.receive = None;
            this.received = received?;
        }
        let length = this.received.len().min(buffer.remaining());
        buffer.put_slice(&this.received.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Adapter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let data = Bytes::copy_from_slice(&data[..data.len().min(CHUNK)]);
        let (socket, length) = (Arc::clone(&self.socket), data.len());
        self.send = Some(Box::pin(async move {
            socket.send(data).await?;
            Ok(())
        }));
        let _ = self.poll_flush(cx)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(send) = &mut this.send {
            let sent = ready!(send.as_mut().poll(cx));
            this.send = None;
            sent?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if self.ending {
            return Poll::Ready(Ok(()));
        }
        self.ending = true;
        let socket = Arc::clone(&self.socket);
        self.send = Some(Box::pin(async move {
            Ok(socket.shutdown(ShutdownHow::Write).await?)
        }));
        self.poll_flush(cx)
    }
}
