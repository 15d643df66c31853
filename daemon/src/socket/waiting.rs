//! Waiting on a socket again and again without holding the socket itself: for streams, which must not keep it from being closed.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::time::Sleep;

use super::{
    BELIEVED_WAKES, LONGEST_REST,
    attempt::is_beside_the_point,
    reactor::{Ended, Reactor, Source, WaitError, Wanted},
};
use crate::sys::socket::Events;

/// One who waits on a socket.
pub(crate) struct Waiting {
    reactor: Arc<Reactor>,
    source: Arc<Source>,
    events: Option<Events>,
    ticket: Option<u64>,
    /// Wakes since the last that was of use.
    wakes: u32,
    /// What the last wake was for, and how many reports there were then.
    last: Option<(Events, u64)>,
    rest: Option<Pin<Box<Sleep>>>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    pub(super) fn new(reactor: Arc<Reactor>, source: Arc<Source>) -> Self {
        Self {
            reactor,
            source,
            events: None,
            ticket: None,
            wakes: 0,
            last: None,
            rest: None,
            alarm: None,
        }
    }

    /// Waits until the socket reports one of `events`, ERR or HUP, or without `events` until waiting is over for good. Asked for other
    /// events than before, it begins anew. After a wake without [`Waiting::was_of_use`] for what was not asked for, as an unread
    /// error queue, it waits for a change; after a few it lets time pass as well.
    pub(crate) fn poll(
        &mut self,
        events: Option<Events>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Events, WaitError>> {
        if let Some(rest) = &mut self.rest {
            if let Some(ended) = self.source.ended() {
                return Poll::Ready(Err(WaitError::Ended(ended)));
            }
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        if self.events != events {
            self.source.leave(&mut self.ticket);
            self.events = events;
            self.last = None;
        }
        let after = self
            .last
            .and_then(|(ready, reports)| is_beside_the_point(ready, events?).then_some(reports));
        let wanted = Wanted {
            events,
            after,
            counted: true,
        };
        let polled = ready!(
            self.reactor
                .poll_wait(&self.source, wanted, &mut self.ticket, cx)
        );
        self.source.leave(&mut self.ticket);
        self.last = polled
            .as_ref()
            .ok()
            .map(|ready| (*ready, self.source.reports()));
        self.wakes += 1;
        if self.wakes > BELIEVED_WAKES && polled.is_ok() {
            self.rest = Some(Box::pin(tokio::time::sleep(LONGEST_REST)));
        }
        Poll::Ready(polled)
    }

    /// Waits until `at`, or until waiting is over for good.
    pub(crate) fn poll_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let over = self.poll_alarm(at, cx).is_ready() || self.poll(None, cx).is_ready();
        if over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready at `at`, which is the same until then.
    pub(crate) fn poll_alarm(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = tokio::time::Instant::from_std(at);
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        ready!(alarm.as_mut().poll(cx));
        self.alarm = None;
        Poll::Ready(())
    }

    /// Whether a wait was begun and has not ended.
    pub(crate) fn is_under_way(&self) -> bool {
        self.ticket.is_some()
    }

    /// The last wake was not in vain.
    pub(crate) fn was_of_use(&mut self) {
        self.wakes = 0;
        self.last = None;
        self.rest = None;
    }

    /// Whether waiting is over for good.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.source.ended()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.source.leave(&mut self.ticket);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
