//! One kernel socket behind a handle: its descriptor, its lanes, and how operations wait on it.
//!
//! The rules of a wait (ARCHITECTURE.md, "Waiting"): try the system call first; wait only on EAGAIN; try again; and between the system
//! call that took something and the return of its result there is no await.

mod accept;
mod connect;
mod lane;
mod limit;
mod patience;
mod reactor;
mod receive;
mod send;
mod splice;
mod streaming;
mod waiting;
mod watch;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use farsock_proto::{
    message::MessageFlags,
    socket::{Domain, SocketType},
};
use tokio::sync::oneshot;

use self::reactor::Source;
pub(crate) use self::{
    lane::{Lane, Turn},
    patience::{Expiry, Patience},
    reactor::{Ended, Reactor, Wait, WaitError},
    receive::ReceiveRequest,
    splice::{Moved, Spliced},
    waiting::Waiting,
    watch::Watch,
};
use crate::{
    engine::{Engine, Owner},
    error::{Call, Error},
    flow::Slot,
    sys::{
        self,
        message::Framing,
        option::TimeLimit as Direction,
        socket::{Events, Kind},
    },
    table::{Block, Handle},
};

/// The longest time between two tries at something that has no event of its own.
const LONGEST_REST: Duration = Duration::from_millis(10);

/// The longest time between two looks at a send that waits on a unix socket: nearly always an event ends it.
const LONGEST_LOOK_AWAY: Duration = Duration::from_millis(100);

/// Two waiters that race for one message wake in vain once; more wakes than this are a state without an event.
const BELIEVED_WAKES: u32 = 3;

/// A kernel socket behind a handle.
#[derive(Debug)]
pub(crate) struct Socket {
    handle: Handle,
    owner: Owner,
    session: Option<Arc<Block>>,
    kind: Kind,
    /// Present until the socket is dropped.
    fd: Option<OwnedFd>,
    /// Whom the descriptor goes to when the last user of the socket is gone; see [`Socket::bequeath`].
    heir: Mutex<Option<oneshot::Sender<OwnedFd>>>,
    reactor: Arc<Reactor>,
    source: Arc<Source>,
    sends: Lane,
    receives: Lane,
    /// The caller's O_NONBLOCK; the descriptor itself always has it.
    nonblocking: AtomicBool,
    /// SO_RCVLOWAT, which a non-blocking receive ignores and a blocking one does not.
    low_water: AtomicUsize,
    /// A negative SO_RCVTIMEO, with which the kernel does not wait, and which reads back as none.
    receives_at_once: AtomicBool,
    /// A negative SO_SNDTIMEO.
    sends_at_once: AtomicBool,
    /// How often connect(2) has ended a connection: those who wait for something of it have nothing more to wait for.
    disconnects: AtomicUsize,
    /// The errno that a call took from the socket after it had moved bytes: the next call's answer, as it would be the kernel's. 0
    /// is none.
    deferred: AtomicI32,
    create_time: SystemTime,
    pub(crate) counters: Counters,
    /// Whether a stream has the socket, and calls have not. Held for reading while a call that takes no turn is in the kernel.
    streaming: RwLock<bool>,
    /// The socket's stream, and what is kept of it when its connection breaks.
    pub(crate) flow: Slot,
}

/// What was moved through a handle.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) connections_accepted: AtomicU64,
}

/// Why an attempt on a socket came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The kernel's answer.
    Kernel(io::Error),
    /// The request's `timeout` was over.
    TimedOut,
    /// Somebody ended the wait.
    Cancelled,
    /// Waiting on this socket is over for good.
    Ended(Ended),
    /// One of the daemon's limits, or a request that breaks a rule.
    Refused(Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl Fault {
    /// The error of the operation that asked for `call`.
    pub(crate) fn on(self, call: Call) -> Error {
        match (self, call.handle) {
            (Self::Kernel(source), _) => call.failed(source),
            (Self::TimedOut, _) => Error::TimedOut(call),
            (Self::Cancelled, _) => Error::Cancelled(call),
            (Self::Ended(Ended::Closed), Some(handle)) => Error::HandleClosed(handle),
            (Self::Ended(_), _) => Error::Draining,
            (Self::Refused(error), _) => error,
        }
    }

    /// Whether the kernel said EAGAIN.
    fn would_block(&self) -> bool {
        matches!(self, Self::Kernel(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Socket {
    /// A socket around a descriptor of `kind`, which is non-blocking.
    pub(crate) fn new(
        engine: &Engine,
        handle: Handle,
        (owner, session): (Owner, Option<Arc<Block>>),
        fd: OwnedFd,
        kind: Kind,
        nonblocking: bool,
    ) -> Self {
        Self {
            handle,
            owner,
            session,
            kind,
            source: Source::new(handle.0, fd.as_raw_fd()),
            fd: Some(fd),
            heir: Mutex::new(None),
            reactor: Arc::clone(&engine.reactor),
            sends: Lane::default(),
            receives: Lane::default(),
            nonblocking: AtomicBool::new(nonblocking),
            low_water: AtomicUsize::new(1),
            receives_at_once: AtomicBool::new(false),
            sends_at_once: AtomicBool::new(false),
            disconnects: AtomicUsize::new(0),
            deferred: AtomicI32::new(0),
            create_time: SystemTime::now(),
            counters: Counters::default(),
            streaming: RwLock::new(false),
            flow: Slot::default(),
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// The session that owns it, if it does not live until it is closed.
    pub(crate) fn session(&self) -> Option<&Arc<Block>> {
        self.session.as_ref()
    }

    /// Whether it belongs to that session.
    pub(crate) fn is_of(&self, block: &Arc<Block>) -> bool {
        self.session()
            .is_some_and(|session| Arc::ptr_eq(session, block))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn framing(&self) -> Framing {
        self.kind.framing()
    }

    pub(crate) fn create_time(&self) -> SystemTime {
        self.create_time
    }

    /// The caller's O_NONBLOCK.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    /// Corresponds to fcntl(2), F_SETFL with or without O_NONBLOCK.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// How many operations wait for readiness or for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.source.waiters() + self.sends.queued() + self.receives.queued()
    }

    /// Ends the operations that wait on the socket, and those that would.
    pub(crate) fn end(&self, ended: Ended) {
        self.source.end(ended);
    }

    /// Makes the close to come reset the connection.
    pub(crate) fn reset_on_close(&self) {
        // A failure (the socket knows no linger) leaves an ordinary close, which is all there is for it.
        let _ = sys::socket::set_linger_zero(self.as_fd());
    }

    /// The descriptor, to be had when the last user of the socket is gone.
    pub(crate) fn bequeath(&self) -> oneshot::Receiver<OwnedFd> {
        let (sender, receiver) = oneshot::channel();
        *self.heir.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// A wait for `events` on this socket alone; for [`crate::operation`]'s Poll.
    pub(crate) fn ready(&self, events: Events) -> Wait<'_> {
        self.reactor.wait(&self.source, events)
    }

    /// The same, not counted among the operations that wait: for one that is counted already.
    fn ready_uncounted(&self, events: Events) -> Wait<'_> {
        self.reactor.wait_uncounted(&self.source, events)
    }

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
        match call(self.as_fd(), Events::EMPTY) {
            Err(fault) if fault.would_block() => {}
            outcome => return outcome,
        }

        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(limit));
        let disconnects = self.disconnects.load(Ordering::Relaxed);
        let mut idle_wakes = 0;
        loop {
            let since = Instant::now();
            let ready = self
                .within(patience, limit, self.pause(events, idle_wakes))
                .await??;
            // As the kernel since Linux 6.7, which leaves the socket's own error for the next call.
            if self.disconnects.load(Ordering::Relaxed) != disconnects {
                return Err(Fault::Kernel(sys::errno::broken_pipe()));
            }
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
    async fn pause(&self, events: Events, idle_wakes: u32) -> Result<Events, Fault> {
        if idle_wakes > BELIEVED_WAKES {
            self.rest(idle_wakes - BELIEVED_WAKES).await?;
        }
        self.event(self.ready(events), events)
            .await
            .map_err(Fault::from)
    }

    /// Awaits `wait`, which is for `events`. There are none at its end if what it waits for has no event: a unix socket's peer that
    /// reads no more makes a send EPIPE, and poll(2) does not tell.
    async fn event(&self, wait: Wait<'_>, events: Events) -> Result<Events, WaitError> {
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
    async fn rest(&self, round: u32) -> Result<(), Fault> {
        tokio::select! {
            () = tokio::time::sleep(rest_time(round)) => Ok(()),
            ended = self.reactor.ended(&self.source) => Err(Fault::Ended(ended)),
        }
    }

    /// Waits for one's turn in a lane.
    async fn turn<'a>(
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
    async fn within<T>(
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

    /// The descriptor for one call that does not wait, unless the socket's end has come. Such calls take no turn in a lane: like a
    /// local one beside a blocked one, they take or leave what is there at this moment.
    fn fd_now(&self) -> Result<BorrowedFd<'_>, Fault> {
        match self.source.ended() {
            Some(ended) => Err(Fault::Ended(ended)),
            None => Ok(self.as_fd()),
        }
    }

    /// Keeps an error for the next call; one that moved bytes does not report it.
    fn defer(&self, error: &io::Error) {
        if let Some(errno) = error.raw_os_error() {
            self.deferred.store(errno, Ordering::Relaxed);
        }
    }

    /// Whether an earlier call kept an error: poll(2) would see it.
    pub(crate) fn has_deferred(&self) -> bool {
        self.deferred.load(Ordering::Relaxed) != 0
    }

    /// The error that an earlier call kept.
    pub(crate) fn take_deferred(&self) -> Result<(), io::Error> {
        match self.deferred.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => match self.deferred.swap(0, Ordering::Relaxed) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            },
        }
    }
}

/// How much time passes before try number `round` at something that has no event: from 0.1 ms, doubled each round, to 10 ms.
fn rest_time(round: u32) -> Duration {
    Duration::from_micros(100 << round.clamp(1, 8).saturating_sub(1)).min(LONGEST_REST)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
            .as_ref()
            .expect("the descriptor leaves the socket only when the socket is dropped")
            .as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reactor.forget(&self.source);
        let heir = self
            .heir
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let (Some(heir), Some(fd)) = (heir, self.fd.take()) {
            // Without a receiver the descriptor is closed here.
            drop(heir.send(fd));
        }
    }
}

impl From<WaitError> for Fault {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Ended(ended) => Self::Ended(ended),
            WaitError::Kernel(error) => Self::Kernel(error),
        }
    }
}
