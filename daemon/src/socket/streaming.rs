//! Who may use a socket: calls, or a stream.

use std::{
    os::fd::BorrowedFd,
    sync::{Arc, PoisonError},
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
    /// Such a call is under way, or one that was dropped has left what it took.
    pub(crate) fn begin_streaming(&self) -> Result<(), Error> {
        let turns = (self.sends.try_turn(), self.receives.try_turn());
        let (Some(_sends), Some(_receives)) = turns else {
            return Err(Error::StreamInUse(self.handle));
        };
        if self.has_kept() {
            return Err(Error::StreamInUse(self.handle));
        }
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
}
