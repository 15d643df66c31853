//! Accepting: what a blocking accept(2) does, on a non-blocking descriptor.

use std::{io, os::fd::BorrowedFd};

use farsock_proto::socket::Domain;

use super::{Connection, Direction, Fault, Patience, Socket, receive::ARRIVAL};
use crate::{
    engine::Engine,
    sys::{self, socket::Events},
};

impl Socket {
    /// Takes a connection: one that is to be accepted again, or the kernel's next.
    pub(crate) fn accept_now(&self, fd: BorrowedFd<'_>) -> io::Result<Connection> {
        if let Some(connection) = self.kept().take_connection() {
            return Ok(connection);
        }
        let (fd, peer) = sys::socket::accept(fd)?;
        let position = self.kept().place_connection();
        Ok(Connection { fd, peer, position })
    }

    /// Calls `accept` when it is this operation's turn, and again when a connection has arrived, until it says something else than EAGAIN.
    pub(crate) async fn accept<T>(
        &self,
        engine: &Engine,
        patience: &Patience,
        mut accept: impl FnMut(BorrowedFd<'_>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        let mut accept = |fd: BorrowedFd<'_>| {
            self.stay_nonblocking()?;
            accept(fd)
        };
        // MPTCP's is that of the first subflow, which the option does not reach.
        let limit = match self.kind().is_mptcp() {
            true => None,
            false => Some(Direction::Receive),
        };
        if !self.waits(limit) {
            return self.now(accept);
        }
        let _turn = self.turn(engine, &self.receives, patience, limit).await?;
        self.not_streaming()?;
        self.attempt(engine, patience, limit, ARRIVAL, |fd, ready| {
            match accept(fd) {
                // A blocking accept on a unix socket whose reading side was shut down ends; a non-blocking one says EAGAIN for ever.
                Err(fault)
                    if fault.would_block()
                        && ready.contains(Events::RDHUP)
                        && self.kind().domain() == Domain::Unix =>
                {
                    Err(sys::errno::invalid().into())
                }
                other => other,
            }
        })
        .await
    }
}
