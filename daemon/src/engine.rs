//! The engine: everything that an operation needs, in one place. Doors hold it, operations run on it.
//!
//! Tasks: the reactor's one task lives as long as the engine (its handle aborts it on drop; it holds no result). Those that close sockets
//! are [`closing`](crate::closing)'s.

use std::{
    fmt, io,
    ops::Deref,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    closing::Closing,
    error::{Error, Result},
    essential::Essential,
    journal::Journal,
    memory::Memory,
    socket::{Ended, Forgotten, Patience, Reactor, Socket, Watch},
    sys::{self, option::Unlisted},
    table::{Aftermath, Claim, Handle, Reservation, Table},
};

/// Whom a connection, and so a handle, belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A user of this host, known by SO_PEERCRED on the unix listener.
    Uid(u32),
    /// Whoever reaches a TCP listener: it knows no identities yet.
    Tcp,
    /// The program that embeds the daemon.
    Embedded,
}

/// As the journal names it: "uid 0", "tcp", "embedded".
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Tcp => f.write_str("tcp"),
            Self::Embedded => f.write_str("embedded"),
        }
    }
}

/// What the engine will not go beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineLimits {
    /// How many handles there may be at once.
    pub(crate) max_handles: usize,
    /// How many operations may wait at once.
    pub(crate) max_waiting: usize,
    /// What callers may ask for.
    pub(crate) allowed: Allowed,
}

/// What callers may ask of the kernel beyond what is known to be harmless to the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// Sockets of any family and type.
    pub(crate) families: Unlisted,
    /// Options of any level and number.
    pub(crate) options: Unlisted,
}

/// The most bytes that operations may keep in memory together: callers whose peers do not read, or who schedule what they send, must not
/// exhaust the daemon's memory.
const MAX_HELD: usize = 256 << 20;

/// Owns the sockets and runs operations on them.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) table: Table,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) closing: Closing,
    pub(crate) journal: Arc<Journal>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) essential: Essential,
    allowed: Allowed,
    instance_id: String,
    start_time: SystemTime,
    draining: AtomicBool,
    /// Operations under way; `idle` is told when it falls to zero.
    running: AtomicUsize,
    idle: Notify,
    waiting: AtomicUsize,
    max_waiting: AtomicUsize,
    held: AtomicUsize,
}

impl Engine {
    /// A new engine; call it within a tokio runtime.
    ///
    /// # Errors
    /// If the kernel gives no epoll descriptor or no random bytes.
    pub(crate) fn new(limits: EngineLimits) -> io::Result<Arc<Self>> {
        let essential = Essential::default();
        Ok(Arc::new(Self {
            table: Table::new(limits.max_handles),
            reactor: Reactor::start(&essential)?,
            essential,
            allowed: limits.allowed,
            closing: Closing::default(),
            journal: Arc::default(),
            memory: Arc::default(),
            instance_id: sys::random::hex_id()?,
            start_time: SystemTime::now(),
            draining: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            idle: Notify::new(),
            waiting: AtomicUsize::new(0),
            max_waiting: AtomicUsize::new(limits.max_waiting),
            held: AtomicUsize::new(0),
        }))
    }

    /// 32 hexadecimal digits that no other engine has.
    pub(crate) fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// What callers may ask of the kernel.
    pub(crate) fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// When the engine came to be.
    pub(crate) fn start_time(&self) -> SystemTime {
        self.start_time
    }

    /// How many handles there are, of all owners.
    pub(crate) fn open_handles(&self) -> usize {
        self.table.len()
    }

    /// Refuses new operations, and ends those that wait, with DRAINING.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for socket in self.table.all() {
            socket.end(Ended::Draining);
        }
    }

    /// Returns when no operation is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let mut told = std::pin::pin!(self.idle.notified());
            // Listens before it looks, so that the last operation's end in between is heard.
            told.as_mut().enable();
            if self.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            told.await;
        }
    }

    /// Closes every socket, and returns when the kernel has closed them all, or soon after `no_longer`: a close that lingers may wait for
    /// its peer for longer than anybody waits for the daemon.
    pub(crate) async fn close_all(&self, no_longer: impl Future<Output = ()>) {
        for socket in self.table.remove_all() {
            let aftermath = socket.session().map(|session| session.at_daemons_end());
            if aftermath == Some(Aftermath::Abort) {
                socket.reset_on_close();
            }
            // Nobody waits for this one's answer; the tracker waits for its end.
            drop(self.close(socket, Ended::Closed));
        }
        self.closing.end(no_longer).await;
    }

    /// Lets an operation in, unless the daemon is shutting down.
    pub(crate) fn admit(&self) -> Result<Admission<'_>> {
        // Counted before the look at `draining`: either this sees it, or `idle` sees the count.
        self.running.fetch_add(1, Ordering::SeqCst);
        let admission = Admission { engine: self };
        if self.draining.load(Ordering::SeqCst) {
            return Err(Error::Draining);
        }
        Ok(admission)
    }

    /// Counts `bytes` that an operation keeps in memory until the kernel has taken them.
    pub(crate) fn hold<E: Deref<Target = Self>>(engine: E, bytes: usize) -> Result<Held<E>> {
        engine
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                (held + bytes <= MAX_HELD).then_some(held + bytes)
            })
            .map_err(|_full| Error::QuotaExceeded {
                limit: MAX_HELD,
                what: "bytes that wait to be sent",
            })?;
        Ok(Held { engine, bytes })
    }

    /// How many operations may wait from now on; those that wait go on.
    pub(crate) fn set_max_waiting(&self, count: usize) {
        self.max_waiting.store(count, Ordering::Relaxed);
    }

    /// Counts an operation that begins to wait.
    pub(crate) fn begin_wait<'a>(&'a self, patience: &'a Patience) -> Result<Waiting<'a>> {
        self.begin_waits(patience, 1)
    }

    /// Counts an operation that begins to wait on `count` sockets at once: what it costs to keep is theirs together.
    pub(crate) fn begin_waits<'a>(
        &'a self,
        patience: &'a Patience,
        count: usize,
    ) -> Result<Waiting<'a>> {
        let limit = self.max_waiting.load(Ordering::Relaxed);
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                let waiting = waiting + count;
                (waiting <= limit).then_some(waiting)
            })
            .map_err(|_full| Error::QuotaExceeded {
                limit,
                what: "waiting operations",
            })?;
        let watch = patience.watch().map(Arc::as_ref);
        if let Some(watch) = watch {
            watch.wait_begins();
        }
        Ok(Waiting {
            engine: self,
            count,
            watch,
        })
    }

    /// Puts a socket that `make` builds into its room in the table, under the claimed number or the next.
    ///
    /// # Errors
    /// Its session is over, or all numbers were given out; then it is closed as its session's sockets are.
    pub(crate) fn place(
        &self,
        room: Reservation<'_>,
        claim: Option<Claim>,
        make: impl FnOnce(Handle) -> Socket,
    ) -> Result<Arc<Socket>> {
        room.insert(claim, make).map_err(|refused| {
            if refused.aftermath == Some(Aftermath::Abort) {
                refused.socket.reset_on_close();
            }
            // Nobody waits for this one's answer; the tracker waits for its end.
            drop(self.close(Arc::from(refused.socket), Ended::Expired));
            refused.error
        })
    }

    /// Closes a socket that has left the table: ends what waits on it with `ended`, and closes the descriptor when the last operation has
    /// let go of it. The returned task ends with close(2)'s answer; nobody need wait for it.
    pub(crate) fn close(&self, socket: Arc<Socket>, ended: Ended) -> JoinHandle<io::Result<()>> {
        let owner = socket.owner();
        let descriptor = socket.bequeath();
        socket.end(ended);
        socket.reset_if_unread();
        let Forgotten {
            sockets,
            connections,
        } = socket.forget_kept();
        for fd in &connections {
            // As the kernel ends what waits to be accepted; other families have no such end.
            let _ = sys::socket::set_linger_zero(fd.as_fd());
        }
        for fd in sockets.into_iter().chain(connections) {
            self.close_descriptor(owner, fd);
        }
        drop(socket);
        let memory = Arc::clone(&self.memory);
        let left = async move {
            let fd = descriptor.await;
            // With the socket's last user its stream is gone, and what that kept.
            memory.let_go();
            fd
        };
        self.closing.begin(owner, left)
    }

    /// Closes a descriptor of the owner's that no handle names.
    pub(crate) fn close_descriptor(&self, owner: Owner, fd: OwnedFd) {
        self.closing.close(owner, fd);
    }
}

/// Bytes that an operation keeps in memory.
#[derive(Debug)]
pub(crate) struct Held<E: Deref<Target = Engine>> {
    engine: E,
    bytes: usize,
}

impl<E: Deref<Target = Engine>> Drop for Held<E> {
    fn drop(&mut self) {
        self.engine.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An operation under way.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    engine: &'a Engine,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.engine.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.engine.idle.notify_waiters();
        }
    }
}

/// An operation that waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    engine: &'a Engine,
    count: usize,
    watch: Option<&'a Watch>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.engine.waiting.fetch_sub(self.count, Ordering::Relaxed);
        if let Some(watch) = self.watch {
            watch.wait_ends();
        }
    }
}
