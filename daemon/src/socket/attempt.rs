//! Trying a call until the kernel has an answer, and for how long: the waits of all operations.
//!
//! The rules (ARCHITECTURE.md, "A wait"): try the system call first; wait only on EAGAIN; try again; and between the system call that took
//! something and the return of its result there is no await.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    time::{Duration, Instant},
};

use super::{Expiry, Fault, Lane, Patience, Socket, Turn};
use crate::{
    engine::Engine,
    sys::{self, socket::Events},
};

/// The longest time between two tries at something that has no event of its own.
pub(super) const LONGEST_REST: Duration = Duration::from_millis(10);

/// Two waiters that race for one message wake in vain once; more wakes than this are a state without an event.
pub(super) const BELIEVED_WAKES: u32 = 3;

/// Which of the socket's own time limits holds for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// SO_RCVTIMEO.
    Receive,
    /// SO_SNDTIMEO.
    Send,
}

impl Socket {
    /// Tries `call`; while the kernel says EAGAIN, waits for `events` and tries again. `call` is told the events that ended the
    /// wait before, and must itself not wait.
    pub(crate) async fn attempt<T>(
        &self,
        engine: &Engine,
        patience: &Patience,
        direction: Direction,
        events: Events,
        mut call: impl FnMut(BorrowedFd<'_>, Events) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        if let Some(ended) = self.source.ended() {
            return Err(Fault::Ended(ended));
        }
        match call(self.as_fd(), Events::EMPTY) {
            Err(fault) if fault.would_block() => {}
            outcome => return outcome,
        }

        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(direction));
        let mut idle_wakes = 0;
        loop {
            let since = Instant::now();
            let ready = self
                .within(patience, limit, self.pause(events, idle_wakes))
                .await??;
            match call(self.as_fd(), ready) {
                Err(fault) if fault.would_block() => {
                    // Only wakes in quick succession are suspicious.
                    idle_wakes = if since.elapsed() > 2 * LONGEST_REST {
                        0
                    } else {
                        idle_wakes + 1
                    };
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for `events`. After a few wakes in vain it lets time pass as well: some states have no event of their own (a unix
    /// datagram to a full receiver that one is not connected with, an unread error queue), so the kernel reports
    /// readiness that is none.
    pub(super) async fn pause(&self, events: Events, idle_wakes: u32) -> Result<Events, Fault> {
        if idle_wakes > BELIEVED_WAKES {
            self.rest(idle_wakes - BELIEVED_WAKES).await?;
        }
        self.ready(events).await.map_err(Fault::from)
    }

    /// Lets time pass before try number `round` at something that has no event.
    pub(super) async fn rest(&self, round: u32) -> Result<(), Fault> {
        tokio::select! {
            () = tokio::time::sleep(rest_time(round)) => Ok(()),
            ended = self.reactor.ended(&self.source) => Err(Fault::Ended(ended)),
        }
    }

    /// Waits for one's turn in a lane.
    pub(super) async fn turn<'a>(
        &'a self,
        engine: &Engine,
        lane: &'a Lane,
        patience: &Patience,
        direction: Direction,
    ) -> Result<Turn<'a>, Fault> {
        if let Some(turn) = lane.try_turn() {
            return Ok(turn);
        }
        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(direction));
        // The end of the socket needs no look here: it ends the operation whose turn it is, and then this one.
        self.within(patience, limit, lane.turn()).await
    }

    /// Awaits `future` up to `limit`, or until somebody ends the wait.
    pub(super) async fn within<T>(
        &self,
        patience: &Patience,
        limit: Option<(Instant, Expiry)>,
        future: impl Future<Output = T> + Send,
    ) -> Result<T, Fault> {
        let over = async {
            match limit {
                Some((at, expiry)) => {
                    tokio::time::sleep_until(at.into()).await;
                    match expiry {
                        Expiry::Request => Fault::TimedOut,
                        Expiry::Kernel => Fault::Kernel(sys::errno::again()),
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What has happened counts, even if it is too late.
            biased;
            value = future => Ok(value),
            () = patience.cancelled() => Err(Fault::Cancelled),
            fault = over => Err(fault),
        }
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO.
    pub(super) fn timeout(&self, direction: Direction) -> Option<Duration> {
        match direction {
            Direction::Receive => sys::socket::receive_timeout(self.as_fd()),
            Direction::Send => sys::socket::send_timeout(self.as_fd()),
        }
    }
}

/// How much time passes before try number `round` at something that has no event: from 0.1 ms, doubled each round, to 10 ms.
pub(super) fn rest_time(round: u32) -> Duration {
    Duration::from_micros(100 << round.clamp(1, 8).saturating_sub(1)).min(LONGEST_REST)
}
