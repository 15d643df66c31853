//! Accepting: what a blocking accept(2) does, on a non-blocking descriptor.

use std::os::fd::BorrowedFd;

use super::{Direction, Fault, Patience, Socket};
use crate::{engine::Engine, sys::socket::Events};

impl Socket {
    /// Calls `accept` when it is this operation's turn, and again when a connection has arrived, until it says something else than EAGAIN.
    pub(crate) async fn accept<T>(
        &self,
        engine: &Engine,
        patience: &Patience,
        mut accept: impl FnMut(BorrowedFd<'_>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        if self.is_nonblocking() {
            return accept(self.fd_now()?);
        }
        let _turn = self
            .turn(engine, &self.receives, patience, Direction::Receive)
            .await?;
        self.attempt(engine, patience, Direction::Receive, Events::IN, |fd, _| {
            accept(fd)
        })
        .await
    }
}
