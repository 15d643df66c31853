//! A connection from its first bytes to its last: HTTP/2's preface, read here so that waiting for it has an end, and the end itself, told
//! only once what came before it has had its turn.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::{
    Stream,
    calls::Turns,
    metered::{HandedBack, Metered},
};

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface and gives the connection back with it still in front. Ends with InvalidData at the first byte that is not
/// HTTP/2's, such as a browser's or that of a TLS client.
pub(super) async fn expect(
    mut stream: Stream,
    turns: Turns,
    handed_back: HandedBack,
) -> io::Result<Prefaced> {
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
        stream: Metered::new(stream, turns.clone(), handed_back),
        arrived: turns.now(),
        turns,
        end: None,
    })
}

/// A connection whose preface has been checked and is read once more.
///
/// h2 reads on until nothing comes, and ends all calls with the connection, those that it has just been asked for as well. The last
/// words of a client that goes, CloseSession above all, would seldom be heard; so the end waits for the turn after theirs.
pub(super) struct Prefaced {
    unread: &'static [u8],
    stream: Metered,
    turns: Turns,
    /// The turn in which the last bytes came.
    arrived: usize,
    /// How reading has ended, until that is told.
    end: Option<io::Result<()>>,
}

impl Prefaced {
    /// What a client that has gone does not hear is no error: its last words may still have to be read, and reading has an end, too.
    fn even_unheard(written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }
}

impl AsyncRead for Prefaced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.unread.is_empty() {
            let room = buf.remaining();
            let read = match this.end.take() {
                Some(end) => end,
                None => ready!(Pin::new(&mut this.stream).poll_read(cx, buf)),
            };
            if read.is_ok() && (buf.remaining() < room || room == 0) {
                this.arrived = this.turns.now();
            } else if this.arrived == this.turns.now() {
                this.end = Some(read);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(read);
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
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        Self::even_unheard(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        Self::even_unheard(written, bufs.iter().map(|buf| buf.len()).sum())
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
    async fn the_end_comes_in_the_turn_after_what_came_before_it() {
        let (mut client, server) = duplex(64);
        client.write_all(PREFACE).await.unwrap();
        client.write_all(b"last words").await.unwrap();
        drop(client);
        let turns = Turns::default();
        let mut prefaced = expect(Box::new(server), turns.clone(), HandedBack::default())
            .await
            .unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut read = || {
            let mut room = [0; 64];
            let mut buf = ReadBuf::new(&mut room);
            let read = Pin::new(&mut prefaced).poll_read(&mut context, &mut buf);
            read.map(|read| read.map(|()| buf.filled().to_vec()).unwrap())
        };
        turns.begin();
        assert_eq!(read(), Poll::Ready(PREFACE.to_vec()));
        assert_eq!(read(), Poll::Ready(b"last words".to_vec()));
        // However often it is asked for.
        assert_eq!(read(), Poll::Pending);
        assert_eq!(read(), Poll::Pending);
        turns.begin();
        assert_eq!(read(), Poll::Ready(Vec::new()));
        assert_eq!(read(), Poll::Ready(Vec::new()));
    }

    #[tokio::test]
    async fn a_preface_in_pieces_is_put_together_and_can_be_read_again() {
        let (mut client, server) = duplex(8);
        let sender = tokio::spawn(async move {
            client.write_all(PREFACE).await.unwrap();
            client.write_all(b"frames").await.unwrap();
        });
        let mut prefaced = expect(Box::new(server), Turns::default(), HandedBack::default())
            .await
            .unwrap();
        let mut all = [0; PREFACE.len() + 6];
        prefaced.read_exact(&mut all).await.unwrap();
        assert_eq!(all[..], [PREFACE.as_slice(), b"frames"].concat());
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn another_protocol_is_refused_at_its_first_wrong_byte() {
        for text in ["GET / HTTP/1.1\r\n", "PRI * HTTP/1", "\x16\x03\x01"] {
            let (mut client, server) = duplex(64);
            client.write_all(text.as_bytes()).await.unwrap();
            let error = expect(Box::new(server), Turns::default(), HandedBack::default())
                .await
                .err()
                .unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_told_from_one_that_is_wrong() {
        let (mut client, server) = duplex(64);
        client.write_all(&PREFACE[..10]).await.unwrap();
        drop(client);
        let error = expect(Box::new(server), Turns::default(), HandedBack::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
