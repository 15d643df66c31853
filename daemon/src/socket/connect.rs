//! Connecting: what a blocking connect(2) does, on a non-blocking descriptor.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::atomic::Ordering,
};

use farsock_proto::{address::Address, socket::Domain};

use super::{Direction, Fault, Patience, Socket};
use crate::{
    engine::Engine,
    sys::{self, socket::Events},
};

impl Socket {
    /// Connects to `address`, and waits for it unless the socket is non-blocking. Ended early, it leaves the socket connecting.
    /// Corresponds to connect(2).
    pub(crate) async fn connect(
        &self,
        engine: &Engine,
        patience: &Patience,
        address: &Address,
    ) -> Result<(), Fault> {
        let ends = *address == Address::Unspecified && self.kind().is_tcp();
        if ends && !sys::socket::is_listening(self.as_fd()) {
            // Before it wakes whom it concerns.
            self.disconnects.fetch_add(1, Ordering::Relaxed);
            // So goes the kernel's own queue.
            drop(self.forget_kept());
        }
        // A vsock connection has an option of its own, SO_VM_SOCKETS_CONNECT_TIMEOUT, and the kernel keeps it even here.
        let limit = match self.kind().domain() {
            Domain::Vsock => None,
            _ => Some(Direction::Send),
        };
        let begun = match self.connect_now(self.fd_now()?, address) {
            Ok(()) => return Ok(()),
            Err(error) if !self.waits(limit) || !is_under_way(&error) => {
                return Err(error.into());
            }
            Err(error) => error,
        };

        let outcome = if begun.kind() == io::ErrorKind::WouldBlock {
            self.connect_when_there_is_room(engine, patience, address)
                .await
        } else {
            self.attempt(engine, patience, limit, Events::OUT, |fd, ready| {
                if ready == Events::EMPTY {
                    // Begun above; now only its end counts.
                    return Err(Fault::Kernel(sys::errno::again()));
                }
                self.connected(fd, address)
            })
            .await
        };
        match outcome {
            // SO_SNDTIMEO is over: the kernel answers as it did when it began.
            Err(fault) if fault.would_block() => Err(Fault::Kernel(begun)),
            other => other,
        }
    }

    fn connect_now(&self, fd: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
        self.stay_nonblocking()?;
        sys::socket::connect(fd, address)
    }

    /// The end of a connect that is under way: EAGAIN while there is none.
    pub(super) fn connected(&self, fd: BorrowedFd<'_>, address: &Address) -> Result<(), Fault> {
        if matches!(self.kind().domain(), Domain::Inet | Domain::Inet6) {
            // connect(2) itself tells the end once, 0 or the error, and moves the socket on as a blocking one would.
            return match self.connect_now(fd, address) {
                Err(error) if is_under_way(&error) => Err(Fault::Kernel(sys::errno::again())),
                other => Ok(other?),
            };
        }
        // Elsewhere a second connect(2) would begin anew or say EISCONN.
        match sys::socket::take_error(fd)? {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// A unix stream or seqpacket peer whose backlog is full says EAGAIN, and no event ever tells that there is room. A blocking caller
    /// sleeps in the kernel until there is; this one tries again and again, at most every 10 ms.
    async fn connect_when_there_is_room(
        &self,
        engine: &Engine,
        patience: &Patience,
        address: &Address,
    ) -> Result<(), Fault> {
        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(Some(Direction::Send)));
        let mut round = 0;
        loop {
            round += 1;
            self.within(patience, limit, self.rest(round)).await??;
            match self.connect_now(self.fd_now()?, address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Ok(other?),
            }
        }
    }
}

/// Whether connect(2) has begun, or waits for room at the peer.
fn is_under_way(error: &io::Error) -> bool {
    sys::errno::is_connecting(error) || error.kind() == io::ErrorKind::WouldBlock
}
