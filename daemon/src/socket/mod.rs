//! One kernel socket behind a handle: its descriptor, its lanes, and what is kept of it. How operations wait on it is in [`attempt`].

mod accept;
mod attempt;
mod connect;
mod connecting;
mod eager;
mod ending;
mod errors;
mod kept;
mod lane;
mod limit;
mod opening;
mod part;
mod patience;
mod reactor;
mod receive;
mod send;
mod splice;
mod streaming;
mod undo;
mod waiters;
mod waiting;
mod watch;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::oneshot;

use self::{
    attempt::{BELIEVED_WAKES, LONGEST_REST, is_beside_the_point, rest_time},
    connecting::Connecting,
    eager::Eager,
    errors::TakenErrors,
    reactor::Source,
};
pub(crate) use self::{
    kept::{Connection, Forgotten, Kept, Place, without_sockets},
    lane::{Lane, Turn},
    patience::{Expiry, Patience},
    reactor::{Ended, Reactor, Wait, WaitError},
    receive::ReceiveRequest,
    splice::{Moved, Spliced},
    undo::{GiveBack, Taken},
    waiting::Waiting,
    watch::Watch,
};
pub(crate) use crate::sys::option::TimeLimit as Direction;
use crate::{
    engine::{Engine, Owner},
    error::{Call, Error},
    flow::Slot,
    sys::{
        self,
        message::{Framing, Inbound},
        socket::{Events, Kind},
    },
    table::{Block, Handle},
};

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
    /// Whether others may have the open socket as well, since it came or went by SCM_RIGHTS.
    shared: AtomicBool,
    /// SO_RCVLOWAT, which a non-blocking receive ignores and a blocking one does not.
    low_water: AtomicUsize,
    /// Whether SO_PEEK_OFF is set, unless somebody else who has the open socket has changed it.
    peeks_onward: AtomicBool,
    /// Who takes what has come without waiting for SO_RCVLOWAT.
    eager: Eager,
    /// A negative SO_RCVTIMEO, with which the kernel does not wait, and which reads back as none.
    receives_at_once: AtomicBool,
    /// A negative SO_SNDTIMEO.
    sends_at_once: AtomicBool,
    /// How often connect(2) has ended a connection: those who wait for something of it have nothing more to wait for.
    disconnects: AtomicUsize,
    /// The connect under way.
    connecting: Connecting,
    /// The errno that a call took from the socket after it had moved bytes: the next call's answer, as it would be the kernel's. 0
    /// is none.
    deferred: AtomicI32,
    /// What was received and is to be received again.
    kept: Arc<Kept>,
    /// Entries of the error queue that were taken out of the kernel for who receives them.
    errors: TakenErrors,
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
            (Self::Ended(Ended::Expired), _) => Error::SessionExpired,
            (Self::Ended(_), _) => Error::Draining,
            (Self::Refused(error), _) => error,
        }
    }

    /// Whether the time of a wait is over: the request's, or the socket's own.
    fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut) || self.would_block()
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
        let source = Source::new(handle.0, fd.as_raw_fd());
        Self {
            handle,
            owner,
            session,
            kind,
            kept: Arc::new(Kept::new(kind.framing(), Arc::clone(&source))),
            source,
            fd: Some(fd),
            heir: Mutex::new(None),
            reactor: Arc::clone(&engine.reactor),
            sends: Lane::default(),
            receives: Lane::default(),
            nonblocking: AtomicBool::new(nonblocking),
            shared: AtomicBool::new(false),
            low_water: AtomicUsize::new(1),
            peeks_onward: AtomicBool::new(false),
            eager: Eager::default(),
            receives_at_once: AtomicBool::new(false),
            sends_at_once: AtomicBool::new(false),
            disconnects: AtomicUsize::new(0),
            connecting: Connecting::default(),
            deferred: AtomicI32::new(0),
            errors: TakenErrors::default(),
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

    /// Others may have the open socket as well, from now on or for long: it came or goes by SCM_RIGHTS.
    pub(crate) fn mark_shared(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    /// The socket, for one receive.
    pub(crate) fn inbound(&self) -> Inbound<'_> {
        Inbound {
            fd: self.as_fd(),
            kind: self.kind,
            may_peek_onward: self.peeks_onward.load(Ordering::Relaxed)
                || self.shared.load(Ordering::Relaxed),
        }
    }

    /// Comes before each accept(2) and connect(2), which wait if somebody else who has the open socket has taken O_NONBLOCK away. What
    /// sends and receives has MSG_DONTWAIT.
    pub(crate) fn stay_nonblocking(&self) -> io::Result<()> {
        if self.shared.load(Ordering::Relaxed) {
            return sys::socket::stay_nonblocking(self.as_fd());
        }
        Ok(())
    }

    /// How many operations wait for readiness or for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.source.waiters() + self.sends.queued() + self.receives.queued()
    }

    /// How often the kernel has reported events of the socket.
    #[cfg(test)]
    pub(crate) fn reports(&self) -> u64 {
        self.source.reports()
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

    /// Makes the close to come reset the connection if bytes of it are unread: the kernel resets for those in its own queue. Not if others
    /// may have the open socket: for them the connection goes on.
    pub(crate) fn reset_if_unread(&self) {
        let kind = self.kind();
        if (kind.is_tcp() || kind.is_mptcp())
            && self.has_kept()
            && !self.shared.load(Ordering::Relaxed)
        {
            self.reset_on_close();
        }
    }

    /// The descriptor of a socket that has left the table, for whoever is to have it instead; none if there are no more descriptors. Waits
    /// on the socket end.
    pub(crate) fn into_descriptor(self: Arc<Self>) -> Option<OwnedFd> {
        self.end(Ended::Closed);
        match Arc::try_unwrap(self) {
            Ok(mut socket) => {
                socket.reactor.forget(&socket.source);
                socket.fd.take()
            }
            // Somebody still has it, if only to list it.
            Err(socket) => socket.as_fd().try_clone_to_owned().ok(),
        }
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
        self.leave_low_water();
        self.reactor.forget(&self.source);
        // A receive may have been dropped after the close began.
        self.reset_if_unread();
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
