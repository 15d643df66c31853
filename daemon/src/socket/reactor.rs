//! Waiting for readiness: one epoll instance, one task, and the waiters of each socket.
//!
//! Why not tokio's `AsyncFd` on each socket: it keeps "closed" readiness for ever once epoll has reported HUP or ERR. A TCP socket
//! that is not yet connected reports HUP at once, and a datagram socket reports ERR after every ICMP error, so a later wait on the same
//! descriptor would spin. Here nothing is remembered: each wait arms the kernel anew (EPOLLONESHOT), and the kernel looks at
//! the socket's state at that moment. A socket that nobody waits on costs nothing.
//!
//! Some events stay though they help nobody: an unread error queue is ERR for ever, and bytes that were peeked at stay readable. Who has tried in
//! vain therefore waits for a change ([`Wait::after`]): the kernel is armed edge-triggered for it, and says only what is new.
//!
//! Tasks: one, started by [`Reactor::start`] and aborted when the reactor is dropped; it holds no result of any operation.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    os::fd::RawFd,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use tokio::{io::unix::AsyncFd, task::AbortHandle};

use super::waiters::{Waiter, Waiters};
use crate::{
    essential::Essential,
    sys::{
        epoll::{Arm, Epoll, Trigger},
        socket::Events,
    },
};

/// Delivers the kernel's readiness reports to the waiters of each socket.
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    epoll: AsyncFd<Epoll>,
    /// Sources that were ever armed, by key.
    sources: Mutex<HashMap<u64, Weak<Source>>>,
}

impl Reactor {
    /// Starts the reactor's task on the current runtime; it is one of the essential ones.
    pub(crate) fn start(essential: &Essential) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            epoll: Epoll::new()?.watched()?,
            sources: Mutex::new(HashMap::new()),
        });
        let deliver = essential.watch("the reactor", deliver(Arc::clone(&shared)));
        let task = tokio::spawn(deliver).abort_handle();
        Ok(Arc::new(Self { shared, task }))
    }

    /// Ends the task, as nothing should.
    #[cfg(test)]
    pub(crate) fn abort(&self) {
        self.task.abort();
    }

    /// Waits until the socket of `source` reports one of `events`, ERR or HUP. Dropping the future takes the waiter away.
    pub(crate) fn wait<'a>(&'a self, source: &'a Arc<Source>, events: Events) -> Wait<'a> {
        Wait {
            reactor: self,
            source,
            events: Some(events),
            counted: true,
            after: None,
            ticket: None,
        }
    }

    /// The same, not counted by [`Source::waiters`].
    pub(crate) fn wait_uncounted<'a>(
        &'a self,
        source: &'a Arc<Source>,
        events: Events,
    ) -> Wait<'a> {
        Wait {
            counted: false,
            ..self.wait(source, events)
        }
    }

    /// Waits until waiting on the socket of `source` is over for good.
    pub(crate) async fn ended(&self, source: &Arc<Source>) -> Ended {
        let wait = Wait {
            reactor: self,
            source,
            events: None,
            counted: true,
            after: None,
            ticket: None,
        };
        match wait.await {
            Err(WaitError::Ended(ended)) => ended,
            // Nothing is armed for it, so nothing else can end it.
            Ok(_) | Err(WaitError::Kernel(_)) => unreachable!("a wait without events has fired"),
        }
    }

    /// Polls the waiter of `ticket`, or adds one and says its ticket.
    pub(super) fn poll_wait(
        &self,
        source: &Arc<Source>,
        Wanted {
            events,
            after,
            counted,
        }: Wanted,
        ticket: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Events, WaitError>> {
        let mut state = source.lock();
        if let Some(ended) = state.ended {
            return Poll::Ready(Err(WaitError::Ended(ended)));
        }
        if let Some(ticket) = *ticket {
            let waiter = state
                .waiters
                .get_mut(ticket)
                .expect("a waiter leaves with its future alone");
            if let Some(events) = waiter.fired {
                return Poll::Ready(Ok(events));
            }
            waiter.waker.clone_from(cx.waker());
            return Poll::Pending;
        }

        if after.is_some_and(|after| after != state.reports) {
            return Poll::Ready(Ok(state.last));
        }
        *ticket = Some(state.waiters.add(Waiter {
            events,
            fired: None,
            counted,
            for_change: after.is_some(),
            waker: cx.waker().clone(),
        }));
        match self.shared.arm(source, &mut state, after.is_some()) {
            Ok(()) => Poll::Pending,
            Err(error) => {
                if let Some(ticket) = ticket.take() {
                    state.waiters.remove(ticket);
                }
                Poll::Ready(Err(WaitError::Kernel(error)))
            }
        }
    }

    /// Forgets a socket that is about to be closed.
    pub(crate) fn forget(&self, source: &Source) {
        let mut state = source.lock();
        if let Some(fd) = state.fd.take()
            && state.registered
        {
            lock(&self.shared.sources).remove(&source.key);
            self.shared.epoll.get_ref().forget(fd);
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}

/// Why waiting on a socket is over for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its handle was closed.
    Closed,
    /// Its session is over, and the handle closed with it.
    Expired,
    /// The daemon is shutting down.
    Draining,
}

/// The waiters of one socket.
#[derive(Debug)]
pub(crate) struct Source {
    key: u64,
    state: Mutex<State>,
}

/// Invariant: while a waiter without `fired` exists and `ended` is none, the kernel is armed for at least its events.
#[derive(Debug)]
struct State {
    /// The socket's descriptor until [`Reactor::forget`]: never a number that was closed.
    fd: Option<RawFd>,
    registered: bool,
    ended: Option<Ended>,
    waiters: Waiters,
    /// How many reports there were, and what the last one said.
    reports: u64,
    last: Events,
    /// Present while the kernel reports changes.
    changes: Option<Changes>,
}

/// A registration that reports changes.
#[derive(Debug)]
struct Changes {
    /// The events that it is armed for.
    armed: Events,
    /// Nobody waited for a change when the last report came. Whoever that had woken may come again, or not.
    is_idle: bool,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// None: for the end of the socket alone.
    pub(super) events: Option<Events>,
    /// Only for a report that comes after this many.
    pub(super) after: Option<u64>,
    /// Whether it stands for an operation.
    pub(super) counted: bool,
}

impl Source {
    /// The waiters of the socket `fd` that is known as `key`, which no other socket may have. [`Reactor::forget`] comes before the
    /// descriptor is closed.
    pub(crate) fn new(key: u64, fd: RawFd) -> Arc<Self> {
        Arc::new(Self {
            key,
            state: Mutex::new(State {
                fd: Some(fd),
                registered: false,
                ended: None,
                waiters: Waiters::default(),
                reports: 0,
                last: Events::EMPTY,
                changes: None,
            }),
        })
    }

    /// Ends every wait, those to come included.
    pub(crate) fn end(&self, ended: Ended) {
        let mut state = self.lock();
        state.ended.get_or_insert(ended);
        let wakers = state.waiters.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes whom `events` concern, which the kernel does not know of. It stays armed as it was.
    pub(crate) fn announce(&self, events: Events) {
        let mut state = self.lock();
        state.reports += 1;
        state.last = events;
        let wakers = state.waiters.fire(events);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many reports there were: what [`Wait::after`] takes, asked for before the call that is tried in vain.
    pub(super) fn reports(&self) -> u64 {
        self.lock().reports
    }

    /// Whether waiting is over for good.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.lock().ended
    }

    /// How many operations wait here.
    pub(crate) fn waiters(&self) -> usize {
        self.lock().waiters.counted()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The kernel has reported `events`, and its registration is spent: wakes whom they concern, and arms it for the others.
    fn fire(&self, epoll: &AsyncFd<Epoll>, events: Events) {
        let mut state = self.lock();
        state.reports += 1;
        state.last = events;
        let wakers = state.waiters.fire(events);
        let rest = match (state.waiters.await_changes(), &mut state.changes) {
            (_, None) => state.waiters.wanted(),
            // It stays armed.
            (true, Some(changes)) => {
                changes.is_idle = false;
                None
            }
            (false, Some(changes)) if !changes.is_idle => {
                changes.is_idle = true;
                None
            }
            // Nobody has come again. One report more, and there are none.
            (false, changes @ Some(_)) => {
                *changes = None;
                Some(state.waiters.wanted().unwrap_or_default())
            }
        };
        if let (Some(rest), Some(fd)) = (rest, state.fd) {
            // The descriptor is open and registered, and a registration that exists can be changed.
            let armed = epoll
                .get_ref()
                .arm(fd, self.key, rest, Trigger::Once, Arm::Again);
            debug_assert!(armed.is_ok(), "EPOLL_CTL_MOD: {armed:?}");
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A wait for readiness. See [`Reactor::wait`].
#[must_use]
pub(crate) struct Wait<'a> {
    reactor: &'a Reactor,
    source: &'a Arc<Source>,
    events: Option<Events>,
    counted: bool,
    after: Option<u64>,
    ticket: Option<u64>,
}

impl Wait<'_> {
    /// Waits for a report that comes after this many: those before it were of no use. No event is missed if they were counted
    /// ([`Source::reports`]) before the call that was tried in vain.
    pub(super) fn after(self, after: Option<u64>) -> Self {
        // Not by `..self`: it has a destructor. It was not polled yet, and so has no ticket.
        Wait {
            reactor: self.reactor,
            source: self.source,
            events: self.events,
            counted: self.counted,
            after,
            ticket: None,
        }
    }
}

/// How a wait ends, if not with events.
#[derive(Debug)]
pub(crate) enum WaitError {
    /// Waiting on this socket is over for good.
    Ended(Ended),
    /// The kernel would not be armed.
    Kernel(io::Error),
}

impl Future for Wait<'_> {
    type Output = Result<Events, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            reactor,
            source,
            events,
            counted,
            after,
            ..
        } = *self;
        let wanted = Wanted {
            events,
            after,
            counted,
        };
        reactor.poll_wait(source, wanted, &mut self.ticket, cx)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.source.leave(&mut self.ticket);
    }
}

impl Source {
    /// Takes a waiter away. The kernel may stay armed for it: one report that nobody waits for is harmless.
    pub(super) fn leave(&self, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            self.lock().waiters.remove(ticket);
        }
    }
}

impl Shared {
    /// Arms the kernel for all that `state`'s waiters still wait for, of whom the last to come waits for a change or for a state.
    fn arm(&self, source: &Arc<Source>, state: &mut State, for_change: bool) -> io::Result<()> {
        let (Some(mut events), Some(fd)) = (state.waiters.wanted(), state.fd) else {
            return Ok(());
        };
        let mut trigger = Trigger::Once;
        if state.waiters.await_changes() {
            if let Some(changes) = &state.changes {
                // To arm it again would report what was of no use.
                if for_change && changes.armed.contains(events) {
                    return Ok(());
                }
                events = events | changes.armed;
            }
            // Nobody waits for a change who has not waited for a state before.
            trigger = Trigger::Changes;
        }
        let epoll = self.epoll.get_ref();
        if state.registered {
            epoll.arm(fd, source.key, events, trigger, Arm::Again)?;
            state.changes = (trigger == Trigger::Changes).then_some(Changes {
                armed: events,
                is_idle: false,
            });
            return Ok(());
        }
        // In the map before it can fire.
        lock(&self.sources).insert(source.key, Arc::downgrade(source));
        let armed = epoll.arm(fd, source.key, events, trigger, Arm::First);
        match armed {
            Ok(()) => state.registered = true,
            // Nothing will fire, and `forget` does not look for what was not registered.
            Err(_) => drop(lock(&self.sources).remove(&source.key)),
        }
        armed
    }
}

/// The reactor's task: takes reports from the kernel and wakes whom they concern.
async fn deliver(shared: Arc<Shared>) {
    loop {
        let Ok(mut guard) = shared.epoll.readable().await else {
            // The runtime is shutting down.
            return;
        };
        let mut fired = Vec::new();
        // The outcome is in `fired`; an error of epoll_wait(2) other than "nothing yet" cannot come from these arguments.
        let _ = guard.try_io(|epoll| {
            match epoll
                .get_ref()
                .take(|key, events| fired.push((key, events)))
            {
                Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
                other => other,
            }
        });
        for (key, events) in fired {
            let source = lock(&shared.sources).get(&key).and_then(Weak::upgrade);
            if let Some(source) = source {
                source.fire(&shared.epoll, events);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks panics between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd as _};

    use super::*;

    #[tokio::test]
    async fn a_descriptor_that_epoll_refuses_leaves_nothing_behind() {
        let reactor = Reactor::start(&Essential::default())
            .expect("the kernel has an epoll instance to give");
        // EPERM: an ordinary file has no readiness.
        let file = File::open("/proc/self/exe").expect("this program");
        let source = Source::new(7, file.as_raw_fd());
        for _ in 0..2 {
            let refused = reactor.wait(&source, Events::IN).await;
            assert!(matches!(refused, Err(WaitError::Kernel(_))), "{refused:?}");
        }
        let mut wait = std::pin::pin!(reactor.wait(&source, Events::IN));
        let refused = std::future::poll_fn(|cx| wait.as_mut().poll(cx)).await;
        assert!(matches!(refused, Err(WaitError::Kernel(_))), "{refused:?}");
        // Not yet dropped, it is no waiter either.
        assert_eq!(source.waiters(), 0);
        assert!(lock(&reactor.shared.sources).is_empty());
        reactor.forget(&source);
    }
}
