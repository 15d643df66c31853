//! A byte stream that gives others a turn: having been read so far, it is not ready once.
//!
//! h2 reads for as long as there is something to read, and its readers have their turn after that. From a daemon that is faster, that is
//! a whole window, for whose credit the daemon then waits, and the two take turns where they could work side by side.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// After how many bytes: a small part of a flow's window, and many times what a turn costs.
const TURN: usize = 128 << 10;

/// A byte stream, read in turns.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    stream: S,
    /// Bytes read since it was not ready.
    read: usize,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= TURN {
            self.read = 0;
            // Polled once, it wakes after the worker's other tasks have run, and no other worker for that.
            return pin!(yield_now()).poll(context).map(Ok);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_pending() {
            self.read = 0;
        }
        ready!(polled)?;
        self.read += buffer.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio_test::{assert_pending, assert_ready_ok};

    use super::*;

    #[test]
    fn it_is_not_ready_once_a_turn_and_wakes_its_reader_at_once() {
        let bytes = vec![7; 2 * TURN];
        let mut stream = tokio_test::task::spawn(Paced::new(&bytes[..]));
        let mut buffer = vec![0; TURN];
        for _ in 0..2 {
            let mut read = ReadBuf::new(&mut buffer);
            assert_ready_ok!(stream.enter(|context, stream| stream.poll_read(context, &mut read)));
            assert_eq!(read.filled().len(), TURN);
            read.clear();
            assert_pending!(stream.enter(|context, stream| stream.poll_read(context, &mut read)));
            assert!(stream.is_woken());
        }
    }

    #[tokio::test]
    async fn everything_is_read() {
        let bytes: Vec<u8> = (0..3 * TURN + 5).map(|n| n.to_le_bytes()[0]).collect();
        let mut read = Vec::new();
        Paced::new(&bytes[..]).read_to_end(&mut read).await.unwrap();
        assert!(read == bytes);
    }
}
