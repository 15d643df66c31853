//! Watches a client's connections to the daemon: how many there have been, how many have ended, and how many GOAWAY frames came.
//!
//! HTTP/2 clients hide all of that: they connect anew and go on.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::Failure;

/// The type of a GOAWAY frame (RFC 9113, section 6.8).
const GO_AWAY: u8 = 7;

/// How long a frame's header is.
const HEADER: usize = 9;

/// Counts for all connections that are made by it. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicUsize,
    ended: AtomicUsize,
    go_aways: AtomicUsize,
}

impl Watch {
    /// Connects, and watches the connection.
    ///
    /// # Errors
    /// Those of connect(2).
    pub(crate) async fn connect(self, to: SocketAddr) -> io::Result<Watched> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Watched {
            stream,
            frames: Frames::default(),
            counts: self.0,
            ended: false,
        })
    }

    /// How many connections have been opened.
    pub(crate) fn opened(&self) -> usize {
        self.0.opened.load(Ordering::Relaxed)
    }

    /// Checks that there have been so many, that none has ended, and that no GOAWAY has come.
    ///
    /// # Errors
    /// It is not so.
    pub(crate) fn check(&self, expected: usize) -> Result<(), Failure> {
        let ended = self.0.ended.load(Ordering::Relaxed);
        let go_aways = self.0.go_aways.load(Ordering::Relaxed);
        if (self.opened(), ended, go_aways) == (expected, 0, 0) {
            return Ok(());
        }
        Err(format!(
            "{} connections instead of {expected}, of which {ended} have ended, with {go_aways} GOAWAY",
            self.opened()
        )
        .into())
    }
}

/// A connection that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    frames: Frames,
    counts: Arc<Counts>,
    ended: bool,
}

impl Watched {
    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.counts.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        match polled {
            Poll::Ready(Ok(())) if !read.is_empty() => {
                let go_aways = self.frames.pass(read);
                self.counts.go_aways.fetch_add(go_aways, Ordering::Relaxed);
            }
            Poll::Ready(_) => self.end(),
            Poll::Pending => {}
        }
        polled
    }
}

impl AsyncWrite for Watched {
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

/// Where a connection's frames begin.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; HEADER],
    filled: usize,
    /// How much of a frame is to come after its header.
    payload: usize,
}

impl Frames {
    /// Passes over what has come next; how many GOAWAY frames have begun in it.
    fn pass(&mut self, mut bytes: &[u8]) -> usize {
        let mut go_aways = 0;
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];

            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                let [high, middle, low, kind, ..] = self.header;
                self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.filled = 0;
                go_aways += usize::from(kind == GO_AWAY);
            }
        }
        go_aways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_away_is_found_wherever_the_frames_are_cut_and_its_type_is_not_sought_in_payloads() {
        let frame = |kind: u8, payload: &[u8]| {
            let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
            let header = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
            [&header[..], payload].concat()
        };
        let wire = [
            frame(4, &[]),
            frame(0, &[7; 300]),
            frame(GO_AWAY, &[0; 8]),
            frame(0, &[7; 9]),
        ]
        .concat();
        for size in 1..wire.len() {
            let mut frames = Frames::default();
            let found: usize = wire.chunks(size).map(|part| frames.pass(part)).sum();
            assert_eq!(found, 1, "in parts of {size}");
        }
    }
}
