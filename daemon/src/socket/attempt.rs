//! Trying a call until the kernel has an answer, and for how long: the waits of all operations.
//!
//! The rules (ARCHITECTURE.md, "A wait"): try the system call first; wait only on EAGAIN; try again; and between the system call that took
//! something and the return of its result there is no await.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use farsock_proto::{
    message::MessageFlags,
    socket::{Domain, SocketType},
};

use super::{
    Direction, Expiry, Fault, Lane, Patience, Socket, Turn, Wait, WaitError, receive::ARRIVAL,
};
use crate::{
    engine::Engine,
    sys::{self, message::Framing, socket::Events},
};

/// The longest time between two tries at something that has no event of its own.
pub(super) const LONGEST_REST: Duration = Duration::from_millis(10);

/// The longest time between two looks at a send that waits on a unix socket: nearly always an event ends it.
const LONGEST_LOOK_AWAY: Duration = Duration::from_millis(100);

/// Two waiters that race for one message wake in vain once; more wakes than this are a state without an event.
pub(super) const BELIEVED_WAKES: u32 = 3;

impl Socket {
    /// Tries `call`; while the kernel says EAGAIN, waits for `events` and tries again, up to the socket's own `limit`. `call` is told
    /// the events that ended the wait before, and must itself not wait.
    pub(crate) async fn attempt<T>(
        &self,
        engine: &Engine,
        patience: &Patience,
        limit: Option<Direction>,
        events: Events,
        mut call: impl FnMut(BorrowedFd<'_>, Events) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        if let Some(ended) = self.source.ended() {
            return Err(Fault::Ended(ended));
        }
        let disconnects = self.disconnects.load(Ordering::Relaxed);
        match call(self.as_fd(), Events::EMPTY) {
            Err(fault) if fault.would_block() => {}
            outcome => return outcome,
        }

        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let receives = limit == Some(Direction::Receive);
        let limit = patience.end(self.timeout(limit));
        let mut idle_wakes = 0;
        let mut after = None;
        loop {
            let since = Instant::now();
            let ready = match self
                .within(patience, limit, self.pause(events, idle_wakes, after))
                .await
            {
                // What is there may be too little for an event (SO_RCVLOWAT): the kernel, too, looks once more when time is over.
                Err(over) if receives && over.is_timeout() => {
                    return match call(self.as_fd(), Events::EMPTY) {
                        Err(fault) if fault.would_block() => Err(over),
                        outcome => outcome,
                    };
                }
                outcome => outcome??,
            };
            // As the kernel since Linux 6.7, which leaves the socket's own error for the next call; MPTCP's waits do not look.
            if self.kind().is_tcp() && self.disconnects.load(Ordering::Relaxed) != disconnects {
                return Err(Fault::Kernel(sys::errno::broken_pipe()));
            }
            let reports = self.source.reports();
            match call(self.as_fd(), ready) {
                Err(fault) if fault.would_block() => {
                    // Whatever ends a receive's wait is an event, though what was peeked at is one as well.
                    let for_change = (events == ARRIVAL && !ready.is_empty())
                        || is_beside_the_point(ready, events);
                    after = for_change.then_some(reports);
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

    /// Waits for `events`, or for a report of them that comes `after` so many. After a few wakes in vain it lets time pass as well: some
    /// states have no event of their own (a unix datagram to a full receiver that one is not connected with), so the kernel reports
    /// readiness that is none.
    async fn pause(
        &self,
        events: Events,
        idle_wakes: u32,
        after: Option<u64>,
    ) -> Result<Events, Fault> {
        if idle_wakes > BELIEVED_WAKES {
            self.rest(idle_wakes - BELIEVED_WAKES).await?;
        }
        self.event(self.ready(events).after(after), events)
            .await
            .map_err(Fault::from)
    }

    /// Awaits `wait`, which is for `events`. There are none at its end if what it waits for has no event: a unix socket's peer that
    /// reads no more makes a send EPIPE, and poll(2) does not tell.
    pub(super) async fn event(&self, wait: Wait<'_>, events: Events) -> Result<Events, WaitError> {
        let unix_connection =
            self.kind().domain() == Domain::Unix && self.kind().socket_type() != SocketType::Dgram;
        if events != Events::OUT || !unix_connection {
            return wait.await;
        }
        let mut wait = std::pin::pin!(wait);
        loop {
            match tokio::time::timeout(LONGEST_LOOK_AWAY, &mut wait).await {
                Ok(outcome) => return outcome,
                Err(_elapsed) if self.may_have_to_send() => return Ok(Events::EMPTY),
                Err(_elapsed) => {}
            }
        }
    }

    /// Whether the end of a send without room may be there: on a stream one of nothing tells it, elsewhere only the message itself.
    fn may_have_to_send(&self) -> bool {
        self.framing() == Framing::Message
            || sys::message::send(self.as_fd(), &[], MessageFlags::NONE, None).is_err()
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
        limit: Option<Direction>,
    ) -> Result<Turn<'a>, Fault> {
        if let Some(turn) = lane.try_turn() {
            return Ok(turn);
        }
        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(limit));
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
}

/// Whether `ready` has none of the `events` that are waited for, but something that stays: an unread error queue is ERR, and with
/// SO_SELECT_ERR_QUEUE also PRI. Only a change can help then.
pub(super) fn is_beside_the_point(ready: Events, events: Events) -> bool {
    let helps = events.without(Events::PRI) | Events::HUP;
    !ready.is_empty() && !ready.intersects(helps)
}

/// How much time passes before try number `round` at something that has no event: from 0.1 ms, doubled each round, to 10 ms.
pub(super) fn rest_time(round: u32) -> Duration {
    Duration::from_micros(100 << round.clamp(1, 8).saturating_sub(1)).min(LONGEST_REST)
}
