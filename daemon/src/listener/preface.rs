//! The first 24 bytes of a connection: HTTP/2's preface, read here so that waiting for it has an end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::Stream;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface and gives the connection back with it still in front. Ends with InvalidData at the first byte that is not
/// HTTP/2's, such as a browser's or that of a TLS client.
pub(super) async fn expect(mut stream: Stream) -> io::Result<Prefaced> {
    let mut preface = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < preface.len() {
        let count = stream.read(&mut preface[filled..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if preface[..filled] != PREFACE[..filled] {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(Prefaced {
        unread: PREFACE,
        stream,
    })
}

/// A connection whose preface has been checked and is read once more.
pub(super) struct Prefaced {
    unread: &'static [u8],
    stream: Stream,
}

impl AsyncRead for Prefaced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.unread.len().min(buf.remaining());
        let (now, later) = self.unread.split_at(count);
        buf.put_slice(now);
        self.unread = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefaced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_preface_in_pieces_is_put_together_and_can_be_read_again() {
        let (mut client, server) = duplex(8);
        let sender = tokio::spawn(async move {
            client.write_all(PREFACE).await.unwrap();
            client.write_all(b"frames").await.unwrap();
        });
        let mut prefaced = expect(Box::new(server)).await.unwrap();
        let mut all = Vec::new();
        prefaced.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [PREFACE.as_slice(), b"frames"].concat());
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn another_protocol_is_refused_at_its_first_wrong_byte() {
        for text in ["GET / HTTP/1.1\r\n", "PRI * HTTP/1", "\x16\x03\x01"] {
            let (mut client, server) = duplex(64);
            client.write_all(text.as_bytes()).await.unwrap();
            let error = expect(Box::new(server)).await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_told_from_one_that_is_wrong() {
        let (mut client, server) = duplex(64);
        client.write_all(&PREFACE[..10]).await.unwrap();
        drop(client);
        let error = expect(Box::new(server)).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
