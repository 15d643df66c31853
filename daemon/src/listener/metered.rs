//! A connection's bytes, metered: what is read before other tasks have their turn, and what the client sends that carries nothing.
//!
//! h2 reads for as long as there is something to read, and a frame of 9 bytes costs it as much as one of 9 KiB: two clients that send nothing
//! but PING would have a worker each to themselves. So the frames are followed here. Having read so much, the connection is not ready until
//! its task has run again ([`Driver`](super::calls::Driver) lets others run first); and a client beyond its [`Allowance`] is read no more, which
//! ends the connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::{Stream, allowance::Allowance, calls::Turns, frames::Frames};

/// How many bytes are read in one run of the connection's task: what a stream's reader hands to its socket in some system calls.
const BYTES: usize = 512 << 10;
/// How many frames that carry nothing are read in one run.
const FRAMES: usize = 256;
/// The most bytes that are read at once beyond the current frame, and so the most frames. As much as h2 asks for by itself.
const AT_ONCE: usize = 8 << 10;
/// How long a client that is sent away has for reading why.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much of what it still sends is read meanwhile: what both sides' kernels may hold of it.
const MOST_UNREAD: usize = 4 << 20;

/// ENHANCE_YOUR_CALM (RFC 9113, section 7).
const CALM: u32 = 0xb;

/// A connection that is metered.
pub(super) struct Metered {
    /// None once it has been handed back.
    stream: Option<Stream>,
    turns: Turns,
    /// The run of the task that the counts are of.
    run: usize,
    bytes: usize,
    empty: usize,
    incoming: Frames,
    outgoing: Frames,
    /// The last stream that the client has opened.
    last: u32,
    allowance: Allowance,
    handed_back: HandedBack,
}

/// Where a connection is left whose client has sent too much that carries nothing.
#[derive(Clone, Default)]
pub(super) struct HandedBack(Arc<Mutex<Option<Excess>>>);

/// Such a connection.
pub(super) struct Excess {
    stream: Option<Stream>,
    goaway: Option<[u8; 17]>,
}

impl HandedBack {
    /// The connection, if it came to that.
    pub(super) fn take(&self) -> Option<Excess> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, excess: Excess) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(excess);
    }
}

impl Excess {
    /// Sends GOAWAY with ENHANCE_YOUR_CALM, and reads what is still on its way, which would otherwise have the kernel reset the connection
    /// before the client has read that. Not for long.
    pub(super) async fn dismiss(mut self) {
        let (Some(stream), Some(goaway)) = (&mut self.stream, self.goaway) else {
            return;
        };
        let farewell = async {
            stream.write_all(&goaway).await?;
            stream.shutdown().await?;
            let (mut unread, mut left) = ([0; 4096], MOST_UNREAD);
            while left > 0 {
                match stream.read(&mut unread).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
                tokio::task::coop::consume_budget().await;
            }
            io::Result::Ok(())
        };
        // Whether it was read makes no difference any more.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

impl Metered {
    /// `stream`, of which a client's preface has been read, in the turns of its connection.
    pub(super) fn new(stream: Stream, turns: Turns, handed_back: HandedBack) -> Self {
        Self {
            stream: Some(stream),
            run: turns.run(),
            turns,
            bytes: 0,
            empty: 0,
            incoming: Frames::default(),
            outgoing: Frames::default(),
            last: 0,
            allowance: Allowance::new(Instant::now()),
            handed_back,
        }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("it is taken in drop alone"))
    }

    /// Counts what was read; false if the client has sent too much that carries nothing.
    fn count(&mut self, read: &[u8]) -> bool {
        self.bytes += read.len();
        let Self {
            incoming,
            allowance,
            empty,
            last,
            ..
        } = self;
        incoming.pass(read, |frame| {
            *empty += usize::from(allowance.received(frame));
            if frame.is_headers() {
                *last = frame.stream.max(*last);
            }
        });
        !allowance.is_exceeded(Instant::now)
    }

    fn wrote(&mut self, written: &[u8]) {
        let allowance = &mut self.allowance;
        self.outgoing.pass(written, |frame| {
            if frame.is_payload() {
                allowance.payload(frame.length);
            }
        });
    }

    /// The connection has ended for h2, with this.
    fn exceeded(&mut self) -> io::Error {
        // Within a frame nothing can be said.
        let goaway = self.outgoing.is_between().then(|| {
            let mut frame = [0; 17];
            frame[2] = 8;
            frame[3] = 7;
            frame[9..13].copy_from_slice(&self.last.to_be_bytes());
            frame[13..].copy_from_slice(&CALM.to_be_bytes());
            frame
        });
        self.handed_back.put(Excess {
            stream: None,
            goaway,
        });
        io::Error::other(
            "the client sends far more frames that carry nothing (PING, WINDOW_UPDATE ...) than it has reason to",
        )
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(excess) = self.handed_back.take() {
            self.handed_back.put(Excess {
                stream: self.stream.take(),
                ..excess
            });
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.run != this.turns.run() {
            (this.run, this.bytes, this.empty) = (this.turns.run(), 0, 0);
        }
        if this.bytes >= BYTES || this.empty >= FRAMES {
            this.turns.spend();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let limit = this.incoming.rest() + AT_ONCE;
        // What is mostly payload is read as it comes.
        if buf.remaining() <= limit.max(2 * this.incoming.rest()) {
            ready!(this.stream().poll_read(cx, buf))?;
        } else {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(limit));
            ready!(this.stream().poll_read(cx, &mut part))?;
            let count = part.filled().len();
            buf.advance(count);
        }
        if this.count(&buf.filled()[before..]) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(this.exceeded()))
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream().poll_write(cx, data))?;
        self.wrote(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream().poll_write_vectored(cx, data))?;
        let mut rest = count;
        for slice in data {
            let length = slice.len().min(rest);
            self.wrote(&slice[..length]);
            rest -= length;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio_test::{assert_pending, assert_ready_ok, task::spawn};

    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    /// How much is read of `client`'s bytes until it is not ready.
    fn one_run(metered: &mut tokio_test::task::Spawn<Metered>) -> usize {
        let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            match metered.enter(|cx, metered| metered.poll_read(cx, &mut read)) {
                Poll::Ready(read_) => read_.unwrap(),
                Poll::Pending => return all,
            }
            all += read.filled().len();
        }
    }

    #[tokio::test]
    async fn one_run_reads_a_bounded_number_of_frames_and_bytes_and_the_next_goes_on() {
        let pings = PING.repeat(4_000);
        let data = [&[7, 0xa1, 0x20, 0, 0, 0, 0, 0, 1][..], &[0; 500_000]].concat();
        let data = data.repeat(3);
        for (bytes, most) in [
            (&pings, FRAMES * PING.len() + AT_ONCE),
            (&data, BYTES + (1 << 20)),
        ] {
            let (mut client, server) = duplex(8 << 20);
            client.write_all(bytes).await.unwrap();
            let turns = Turns::default();
            let metered = Metered::new(Box::new(server), turns.clone(), HandedBack::default());
            let mut metered = spawn(metered);
            let mut all = 0;
            while all < bytes.len() {
                turns.begin_run();
                let read = one_run(&mut metered);
                assert!(0 < read && read <= most, "{read}");
                all += read;
                assert_eq!(turns.is_spent(), metered.is_woken());
                // However often it is asked for in the same run.
                if turns.is_spent() {
                    assert_eq!(one_run(&mut metered), 0);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_client_beyond_its_allowance_is_sent_away_with_enhance_your_calm() {
        let (client, server) = duplex(1 << 20);
        let (mut from, mut to) = tokio::io::split(client);
        let flood = tokio::spawn(async move {
            let headers = [0, 0, 1, 1, 4, 0, 0, 0, 5, 0x82];
            to.write_all(&headers).await.unwrap();
            for _ in 0..40_000 {
                to.write_all(&PING).await.unwrap();
            }
            to.shutdown().await.unwrap();
        });
        let handed_back = HandedBack::default();
        let turns = Turns::default();
        let mut metered = Metered::new(Box::new(server), turns.clone(), handed_back.clone());
        let mut buffer = vec![0; 4096];
        let error = loop {
            turns.begin_run();
            match metered.read(&mut buffer).await {
                Ok(count) => assert_ne!(count, 0, "all of it was read"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("carry nothing"), "{error}");
        drop(metered);
        let excess = handed_back.take().expect("it is handed back");
        excess.dismiss().await;
        flood.await.unwrap();
        let mut goaway = Vec::new();
        from.read_to_end(&mut goaway).await.unwrap();
        assert_eq!(
            goaway,
            [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0xb]
        );
    }

    #[tokio::test]
    async fn within_a_frame_of_the_daemons_nothing_is_said() {
        let (mut client, server) = duplex(1 << 20);
        client.write_all(&PING.repeat(20_000)).await.unwrap();
        let handed_back = HandedBack::default();
        let turns = Turns::default();
        let metered = Metered::new(Box::new(server), turns.clone(), handed_back.clone());
        let mut metered = spawn(metered);
        // The first half of a frame.
        assert_ready_ok!(metered.enter(|cx, metered| metered.poll_write(cx, &[0, 0, 8, 6, 0])));
        let mut buffer = vec![0; 4096];
        loop {
            turns.begin_run();
            let mut read = ReadBuf::new(&mut buffer);
            match metered.enter(|cx, metered| metered.poll_read(cx, &mut read)) {
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) => {}
                pending => assert_pending!(pending),
            };
        }
        drop(metered);
        handed_back.take().expect("handed back").dismiss().await;
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, [0, 0, 8, 6, 0]);
    }
}
