//! A connect(2) that the kernel carries out, and the operations that wait for its end.
//!
//! The kernel reports the end to one call: the connect(2) that asks for it. A connect(2) that asks again, or asks after shutdown(2) or
//! AF_UNSPEC has ended the attempt, begins a new one. So each call that begins a connect, asks for its end or ends it holds one lock while
//! it is in the kernel, and records the end for every operation that waits.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use farsock_proto::{address::Address, socket::ShutdownHow};

use super::{Direction, Fault, Socket};
use crate::sys::{
    self,
    socket::{Events, State},
};

/// What a socket keeps of its connects.
#[derive(Debug, Default)]
pub(super) struct Connecting {
    /// The connect that operations wait for: alive as long as one of them does.
    pending: Mutex<Weak<PendingConnect>>,
    /// TCP_FASTOPEN_CONNECT: connect(2) has returned, and the first send will send the SYN.
    deferred: AtomicBool,
}

/// A connect under way.
#[derive(Debug)]
pub(super) struct PendingConnect {
    /// Where to. The kernel does not look at it again.
    address: Address,
    /// The errno is the first waiter's; the others get ECONNABORTED, as in the kernel.
    end: Mutex<Option<Result<(), i32>>>,
}

/// The lock of a socket's connects; nobody waits while holding it.
pub(super) type Guard<'a> = MutexGuard<'a, Weak<PendingConnect>>;

impl Connecting {
    pub(super) fn lock(&self) -> Guard<'_> {
        // A weak reference is whole at every moment.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingConnect {
    fn end(&self) -> MutexGuard<'_, Option<Result<(), i32>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.end().is_some()
    }

    /// Records the end, unless there is one.
    fn record(&self, outcome: Result<(), &io::Error>) {
        let errno = |error: &io::Error| error.raw_os_error().unwrap_or_default();
        self.end().get_or_insert(outcome.map_err(errno));
    }

    /// The end for one waiter.
    fn take_end(&self) -> Option<io::Result<()>> {
        let mut end = self.end();
        match (*end)? {
            Ok(()) => Some(Ok(())),
            Err(errno) => {
                let later = sys::errno::connection_aborted().raw_os_error();
                *end = later.map(Err);
                Some(Err(io::Error::from_raw_os_error(errno)))
            }
        }
    }
}

impl Socket {
    /// connect(2), and the connect to wait for if it is under way and the socket's family has the kernel report its end by another
    /// connect(2).
    pub(super) fn begin_connect(
        &self,
        fd: BorrowedFd<'_>,
        address: &Address,
    ) -> (io::Result<()>, Option<Arc<PendingConnect>>) {
        let mut connecting = self.connecting.lock();
        let outcome = self.connect_now(fd, address);
        let mut pending = None;
        match &outcome {
            Ok(()) => {
                end_pending(&connecting, Ok(()));
                if self.kind().is_internet() && sys::socket::state(fd) == State::SynSent {
                    self.connecting.deferred.store(true, Ordering::Relaxed);
                }
            }
            Err(error) if sys::errno::is_connecting(error) && self.kind().is_internet() => {
                pending = Some(join_pending(&mut connecting, address));
            }
            Err(error) if is_under_way(error) => {}
            // This call has taken the error.
            Err(_) => end_pending(&connecting, Err(&sys::errno::connection_aborted())),
        }
        (outcome, pending)
    }

    /// Dissolves an association: connect(2) with AF_UNSPEC.
    pub(super) fn disconnect(&self, fd: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
        let kind = self.kind();
        let is_tcp = kind.is_tcp() || kind.is_mptcp();
        let connecting = self.connecting.lock();
        if is_tcp && !sys::socket::is_listening(fd) {
            // Before it wakes whom it concerns.
            self.disconnects.fetch_add(1, Ordering::Relaxed);
            // As the kernel's own queue.
            drop(self.forget_kept());
        }
        self.connect_now(fd, address)?;
        if is_tcp {
            self.connecting.deferred.store(false, Ordering::Relaxed);
            end_pending(&connecting, Err(&sys::errno::broken_pipe()));
        }
        Ok(())
    }

    /// The end of a connect that is under way: EAGAIN while there is none.
    pub(super) fn connected(
        &self,
        fd: BorrowedFd<'_>,
        pending: &PendingConnect,
    ) -> Result<(), Fault> {
        let _connecting = self.connecting.lock();
        self.ask_for_the_end(fd, pending)?;
        match pending.take_end() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                // As the kernel's connect(2), which dissolves what is left when it fails.
                if self.kind().is_tcp() {
                    self.disconnects.fetch_add(1, Ordering::Relaxed);
                }
                Err(error.into())
            }
            None => Err(Fault::Kernel(sys::errno::again())),
        }
    }

    /// Records the end of `pending`, if it has come. The lock is held.
    fn ask_for_the_end(&self, fd: BorrowedFd<'_>, pending: &PendingConnect) -> io::Result<()> {
        if pending.has_ended() {
            return Ok(());
        }
        // Somebody outside who has the open socket can have ended the attempt as well: TCP has forgotten the destination then.
        if self.shared.load(Ordering::Relaxed)
            && self.kind().is_tcp()
            && sys::socket::destination(fd)?.is_none()
        {
            let error = sys::socket::take_error(fd)?;
            let error = error.unwrap_or_else(sys::errno::connection_aborted);
            pending.record(Err(&error));
            return Ok(());
        }
        match self.connect_now(fd, &pending.address) {
            Err(error) if sys::errno::is_connecting(&error) => {}
            // Another call was told of the success.
            Err(error) if sys::errno::is_connected(&error) => pending.record(Ok(())),
            Err(error) => pending.record(Err(&error)),
            Ok(()) => pending.record(Ok(())),
        }
        Ok(())
    }

    /// Ends one or both directions. Acts at once, and ends the operations that wait for what it ends: a send has sent what it had sent by
    /// then, a connect of TCP is ECONNRESET. Corresponds to shutdown(2).
    pub(crate) fn shutdown(&self, how: ShutdownHow) -> Result<(), Fault> {
        self.fd_now()?;
        Ok(self.shutdown_now(how)?)
    }

    /// The same, whether or not the socket's end has come.
    pub(crate) fn shutdown_now(&self, how: ShutdownHow) -> io::Result<()> {
        let fd = self.as_fd();
        let connecting = self.connecting.lock();
        let pending = connecting.upgrade().filter(|pending| !pending.has_ended());
        match pending {
            None => sys::socket::shutdown(fd, how)?,
            Some(pending) => {
                // An end that has come is the connect's: shutdown(2) would leave no trace of it.
                self.ask_for_the_end(fd, &pending)?;
                sys::socket::shutdown(fd, how)?;
                if !pending.has_ended() && sys::socket::state(fd) == State::Unconnected {
                    let error = sys::socket::take_error(fd)?;
                    let error = error.unwrap_or_else(sys::errno::connection_aborted);
                    pending.record(Err(&error));
                    // A connect(2) that fails dissolves what is left of it.
                    self.connect_now(fd, &Address::Unspecified)?;
                }
            }
        }
        drop(connecting);
        if how != ShutdownHow::Read {
            // A full unix socket reports nothing when its own side stops sending.
            self.source.announce(Events::OUT);
        }
        Ok(())
    }

    /// Whether a send with these flags can be what opens the connection: MSG_FASTOPEN, or the first after a connect that
    /// TCP_FASTOPEN_CONNECT has deferred.
    pub(super) fn may_open(&self, fastopen: bool) -> bool {
        (fastopen && self.kind().is_internet()) || self.connecting.deferred.load(Ordering::Relaxed)
    }

    /// Calls `send`, which may open the connection, and returns the connect to wait for if it has.
    pub(super) fn send_and_open(
        &self,
        fd: BorrowedFd<'_>,
        address: Option<&Address>,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> (io::Result<usize>, Option<Arc<PendingConnect>>) {
        let mut connecting = self.connecting.lock();
        let was_deferred = self.connecting.deferred.swap(false, Ordering::Relaxed);
        let outcome = send();
        let opened = match &outcome {
            // The SYN has carried data; or the socket was connected before, and then the end is there at once.
            Ok(_) => self.kind().framing() == sys::message::Framing::Stream,
            Err(error) => {
                let again = error.kind() == io::ErrorKind::WouldBlock;
                self.connecting
                    .deferred
                    .store(was_deferred && again, Ordering::Relaxed);
                sys::errno::is_connecting(error)
            }
        };
        if !opened {
            return (outcome, None);
        }
        let address = match address {
            Some(address) => Some(address.clone()),
            None => sys::socket::destination(fd).ok().flatten(),
        };
        let pending = address.map(|address| join_pending(&mut connecting, &address));
        (outcome, pending)
    }

    fn connect_now(&self, fd: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
        self.stay_nonblocking()?;
        sys::socket::connect(fd, address)
    }

    /// What a request's connect leaves when its wait ends early, if that is not the same for all sockets: a unix one waits for room at
    /// the listener before the kernel begins anything.
    pub(crate) fn left_by_connect(&self) -> Option<&'static str> {
        let is_unix = self.kind().domain() == farsock_proto::socket::Domain::Unix;
        is_unix.then_some(
            "the listener's queue was full, and the socket is not connecting: connect again",
        )
    }

    /// The time limit of a connect. A vsock connection has an option of its own, SO_VM_SOCKETS_CONNECT_TIMEOUT, and the kernel keeps it
    /// even here.
    pub(super) fn connect_limit(&self) -> Option<Direction> {
        match self.kind().domain() {
            farsock_proto::socket::Domain::Vsock => None,
            _ => Some(Direction::Send),
        }
    }
}

/// Whether connect(2) has begun, or waits for room at the peer.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    sys::errno::is_connecting(error) || error.kind() == io::ErrorKind::WouldBlock
}

/// The connect under way, which others may wait for as well.
fn join_pending(connecting: &mut Guard<'_>, address: &Address) -> Arc<PendingConnect> {
    if let Some(pending) = connecting.upgrade()
        && !pending.has_ended()
    {
        return pending;
    }
    let pending = Arc::new(PendingConnect {
        address: address.clone(),
        end: Mutex::new(None),
    });
    **connecting = Arc::downgrade(&pending);
    pending
}

/// The end of the connect under way, for whoever waits for it.
fn end_pending(connecting: &Guard<'_>, outcome: Result<(), &io::Error>) {
    if let Some(pending) = connecting.upgrade() {
        pending.record(outcome);
    }
}
