//! How a direction of a relay waits: as every operation does, but again and again.

use std::{io, sync::atomic::Ordering, time::Instant};

use super::flow::{End, Failure};
use crate::{
    socket::{
        BELIEVED_WAKES, Direction, LONGEST_REST, Socket, WaitError, is_beside_the_point, rest_time,
    },
    sys::{self, socket::Events},
};

/// The waits between two successful calls on a socket. They are not counted as operations that wait: the relay is one.
pub(super) struct Waits<'a> {
    socket: &'a Socket,
    direction: Direction,
    events: Events,
    /// How often the connection had been dissolved before they began.
    disconnects: usize,
    /// When the first began, and when SO_RCVTIMEO or SO_SNDTIMEO ends them all.
    begun: Option<(Instant, Option<Instant>)>,
    idle_wakes: u32,
    /// What the last wait ended with, and how many reports there were then.
    last: Option<(Events, u64)>,
}

impl<'a> Waits<'a> {
    /// Of `socket`, whose connection had been dissolved `disconnects` times when it was last of use.
    pub(super) fn new(
        socket: &'a Socket,
        direction: Direction,
        events: Events,
        disconnects: usize,
    ) -> Self {
        Self {
            socket,
            direction,
            events,
            disconnects,
            begun: None,
            idle_wakes: 0,
            last: None,
        }
    }

    /// EPIPE if the connection was dissolved since: as in `Socket::attempt`.
    pub(super) fn check_connection(&self) -> io::Result<()> {
        match self.socket.kind().is_tcp() && self.disconnected() {
            true => Err(sys::errno::broken_pipe()),
            false => Ok(()),
        }
    }

    /// Whether connect(2) with AF_UNSPEC has dissolved the connection since these waits began.
    pub(super) fn disconnected(&self) -> bool {
        self.socket.disconnects.load(Ordering::Relaxed) != self.disconnects
    }

    /// Waits for the events; a state without an event of its own makes it a wait for time, as in `Socket::pause`.
    pub(super) async fn ready(&mut self) -> Result<Events, Failure> {
        let now = Instant::now();
        let (since, limit) = match self.begun {
            Some((since, limit)) => {
                let quick = now.duration_since(since) <= 2 * LONGEST_REST;
                self.idle_wakes = if quick { self.idle_wakes + 1 } else { 0 };
                (now, limit)
            }
            None => {
                let timeout = self.socket.timeout(Some(self.direction));
                (now, timeout.and_then(|timeout| now.checked_add(timeout)))
            }
        };
        self.begun = Some((since, limit));
        let idle_wakes = self.idle_wakes;
        let after = self.last.and_then(|(ready, reports)| {
            is_beside_the_point(ready, self.events).then_some(reports)
        });
        let wait = async {
            if idle_wakes > BELIEVED_WAKES {
                tokio::time::sleep(rest_time(idle_wakes - BELIEVED_WAKES)).await;
            }
            let wait = self.socket.ready_uncounted(self.events).after(after);
            self.socket.event(wait, self.events).await
        };
        let outcome = match limit {
            None => wait.await,
            Some(limit) => match tokio::time::timeout_at(limit.into(), wait).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(WaitError::Kernel(sys::errno::again())),
            },
        };
        self.last = outcome
            .as_ref()
            .ok()
            .map(|ready| (*ready, self.socket.source.reports()));
        outcome.map_err(|error| match (error, self.direction) {
            (WaitError::Ended(ended), _) => {
                Failure::Ended(End::Socket(self.socket.handle(), ended))
            }
            (WaitError::Kernel(error), Direction::Receive) => Failure::Receive(error),
            (WaitError::Kernel(error), Direction::Send) => Failure::Send(error),
        })
    }
}
