//! Who has a socket's stream: at most one connection at a time.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use futures_util::task::AtomicWaker;

use super::{Opening, Tally};
use crate::{error::Error, socket::Socket};

#[cfg(test)]
mod tests;

/// One opening of a stream: who holds it may act on the stream until another opening has taken it over.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Counts the openings, up from 1.
    number: u64,
    /// Whether it took over from one that was there.
    took_over: bool,
    /// What the flow had moved when it was left or taken over.
    left_at: OnceLock<Tally>,
    /// Whoever sends to the client.
    waker: AtomicWaker,
    taken: AtomicBool,
    news: AtomicBool,
}

impl Line {
    /// Which opening it is: counts up from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it took over from one that was still there.
    pub(crate) fn took_over(&self) -> bool {
        self.took_over
    }

    /// The stream is left, or taken over, when the flow has moved so much: for the one who holds it, under the flow's locks, so that
    /// nothing counts for two openings.
    pub(super) fn left(&self, tally: Tally) {
        // Only the first time counts.
        let _ = self.left_at.set(tally);
    }

    /// What the flow had moved when the stream was left; none before.
    pub(crate) fn left_at(&self) -> Option<Tally> {
        self.left_at.get().copied()
    }

    /// The one who sends to the client is woken from here on through `waker`.
    pub(super) fn listen(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// Wakes the one who sends to the client.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// There is something to tell the client.
    pub(super) fn tell(&self) {
        self.news.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether there was; from here on it is looked for.
    pub(super) fn take_news(&self) -> bool {
        self.news.load(Ordering::Relaxed) && self.news.swap(false, Ordering::Acquire)
    }

    /// Whether another opening has taken the stream over.
    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }
}

/// Whether `line` is the one that has the stream.
pub(super) fn holds(holder: Option<&Arc<Line>>, line: &Arc<Line>) -> bool {
    holder.is_some_and(|holder| Arc::ptr_eq(holder, line))
}

/// The place that one opening at a time has.
#[derive(Debug, Default)]
pub(super) struct Seat {
    state: Mutex<State>,
}

/// Invariant: while somebody has the stream, or it holds something, the socket is kept from calls.
#[derive(Debug, Default)]
struct State {
    holder: Option<(u64, Arc<Line>)>,
    /// The id of the last opening, and the highest attempt under it.
    latest: (u64, u64),
    streaming: bool,
    /// Whether it is the stream of a connection's bytes, which takes whatever has come.
    takes_all: bool,
    openings: u64,
}

impl Seat {
    /// The place of a stream of bytes.
    pub(super) fn of_bytes() -> Self {
        Self {
            state: Mutex::new(State {
                takes_all: true,
                ..State::default()
            }),
        }
    }

    /// Opens the stream, if `resume` says that it can be; under the id of the one who has it, it takes over. An attempt that is not above
    /// those seen under its id was delayed on a connection that its client has given up.
    pub(super) fn take<T>(
        &self,
        socket: &Socket,
        opening: Opening,
        resume: impl FnOnce(&Arc<Line>) -> Result<T, Error>,
    ) -> Result<(Arc<Line>, T), Error> {
        let Opening {
            stream_id, attempt, ..
        } = opening;
        let mut state = self.lock();
        let (latest, highest) = state.latest;
        if stream_id == latest && attempt != 0 && attempt <= highest {
            return Err(Error::StreamTaken(socket.handle()));
        }
        if let Some((holder, _)) = &state.holder
            && (stream_id == 0 || *holder != stream_id)
        {
            return Err(Error::StreamInUse(socket.handle()));
        }
        let fresh = !state.streaming;
        if fresh {
            socket.begin_streaming()?;
        }
        let line = Arc::new(Line {
            number: state.openings + 1,
            took_over: state.holder.is_some(),
            ..Line::default()
        });
        match resume(&line) {
            Ok(resumed) => {
                state.openings = line.number;
                state.latest = if stream_id == latest {
                    (stream_id, highest.max(attempt))
                } else {
                    (stream_id, attempt)
                };
                state.streaming = true;
                if fresh && state.takes_all {
                    socket.begin_taking_all();
                }
                let before = state.holder.replace((stream_id, Arc::clone(&line)));
                drop(state);
                if let Some((_, before)) = before {
                    before.taken.store(true, Ordering::Release);
                    before.wake();
                }
                Ok((line, resumed))
            }
            Err(error) => {
                if fresh {
                    socket.end_streaming();
                }
                Err(error)
            }
        }
    }

    /// The one who has `line` leaves. Calls may use the socket again if nothing is left, as `empty` says.
    pub(super) fn leave(
        &self,
        line: &Arc<Line>,
        socket: Option<&Socket>,
        empty: impl FnOnce() -> bool,
    ) {
        let mut state = self.lock();
        if holds(state.holder.as_ref().map(|(_, line)| line), line) {
            state.holder = None;
        }
        state.settle(socket, empty);
    }

    /// Something was taken: looks whether anything is left.
    pub(super) fn settle(&self, socket: Option<&Socket>, empty: impl FnOnce() -> bool) {
        self.lock().settle(socket, empty);
    }

    /// Whether nobody has the stream and it holds nothing.
    pub(super) fn is_free(&self) -> bool {
        !self.lock().streaming
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self, socket: Option<&Socket>, empty: impl FnOnce() -> bool) {
        if self.streaming && self.holder.is_none() && empty() {
            self.streaming = false;
            if let Some(socket) = socket {
                if self.takes_all {
                    socket.end_taking_all();
                }
                socket.end_streaming();
            }
        }
    }
}
