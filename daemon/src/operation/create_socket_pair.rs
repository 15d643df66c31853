//! CreateSocketPair: socketpair(2).

use std::os::fd::AsFd;

use farsock_proto::socket::{Domain, Protocol, SocketType};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    socket::Socket,
    sys,
    table::Handle,
};

/// Creates two sockets that are connected with each other.
#[derive(Debug)]
pub(crate) struct CreateSocketPair {
    pub(crate) domain: Domain,
    pub(crate) kind: SocketType,
    pub(crate) protocol: Protocol,
    pub(crate) nonblocking: bool,
}

impl Operation for CreateSocketPair {
    const VERB: &'static str = "CreateSocketPair";
    type Output = (Handle, Handle);

    fn handle(&self) -> Option<Handle> {
        None
    }

    async fn execute(self, context: &Context) -> Result<(Handle, Handle)> {
        let failed = |error| {
            Call::new("socketpair")
                .with(format_args!(
                    "{}, {}, {}",
                    self.domain, self.kind, self.protocol
                ))
                .failed(error)
        };
        let engine = &context.engine;
        let (room, other_room) = (engine.table.reserve()?, engine.table.reserve()?);
        let (fd, other_fd) =
            sys::socket::pair(self.domain, self.kind, self.protocol).map_err(failed)?;
        let kind = sys::socket::kind(fd.as_fd()).map_err(failed)?;
        let insert = |room: crate::table::Reservation<'_>, fd| {
            room.insert(|handle| {
                Socket::new(engine, handle, context.owner, fd, kind, self.nonblocking)
            })
            .handle()
        };
        Ok((insert(room, fd), insert(other_room, other_fd)))
    }
}
