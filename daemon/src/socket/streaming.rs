//! Who may use a socket: calls, or a stream.

use std::{
    os::fd::BorrowedFd,
    sync::{Arc, PoisonError},
};

use farsock_proto::{
    message::MessageFlags,
    socket::{Domain, SocketType},
};

use super::{Fault, Socket, Waiting};
use crate::error::Error;

impl Socket {
    /// One who waits on this socket, however long, without holding it.
    pub(crate) fn waiter(&self) -> Waiting {
        Waiting::new(Arc::clone(&self.reactor), Arc::clone(&self.source))
    }

    /// Gives the socket to a stream: from here on calls that send, receive or accept are refused.
    ///
    /// # Errors
    /// Such a call is under way.
    pub(crate) fn begin_streaming(&self) -> Result<(), Error> {
        let turns = (self.sends.try_turn(), self.receives.try_turn());
        let (Some(_sends), Some(_receives)) = turns else {
            return Err(Error::StreamInUse(self.handle));
        };
        // Waits for a call in the kernel, which does not wait itself.
        *self
            .streaming
            .write()
            .unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    /// Gives the socket back to calls.
    pub(crate) fn end_streaming(&self) {
        *self
            .streaming
            .write()
            .unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Whether calls may use the socket; asked when it is their turn.
    pub(super) fn not_streaming(&self) -> Result<(), Fault> {
        if *self
            .streaming
            .read()
            .unwrap_or_else(PoisonError::into_inner)
        {
            return Err(Fault::Refused(Error::StreamInUse(self.handle)));
        }
        Ok(())
    }

    /// A call that sends, receives or accepts and does not wait: see [`Self::fd_now`]. No stream begins within it.
    pub(super) fn now<T>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let streaming = self
            .streaming
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if *streaming {
            return Err(Fault::Refused(Error::StreamInUse(self.handle)));
        }
        call(self.fd_now()?)
    }

    /// The same of a receive with these flags. One from elsewhere than the queue takes nothing from a stream and leaves a pending error to it:
    /// it passes beside.
    pub(super) fn receives_now<T>(
        &self,
        flags: MessageFlags,
        call: impl FnOnce(BorrowedFd<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.passes_beside(flags) {
            return call(self.fd_now()?);
        }
        self.now(|fd| {
            self.take_deferred()?;
            call(fd)
        })
    }

    /// Whether the kernel takes what a receive with these flags returns from elsewhere than the socket's queue, or refuses it: from the error
    /// queue, or TCP's or a unix stream's urgent byte. Some kinds of sockets ignore a flag, and then it is a receive like any other.
    fn passes_beside(&self, flags: MessageFlags) -> bool {
        let (kind, domain) = (self.kind(), self.kind().domain());
        let is_datagram = kind.socket_type() == SocketType::Dgram;
        let urgent = domain == Domain::Unix || kind.is_internet() && !is_datagram;
        let errors = kind.is_internet() || domain == Domain::Packet;
        flags.contains(MessageFlags::OOB) && urgent
            || flags.contains(MessageFlags::ERRQUEUE) && errors && !kind.is_sctp()
    }
}
