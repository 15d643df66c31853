//! CreateSocketPair: socketpair(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use farsock_proto::socket::{Domain, Protocol, SocketType};

use super::{Context, Operation};
use crate::{
    blocking,
    error::{Call, Result},
    journal::{Answer, CallText},
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
    /// The numbers that the sockets shall have; 0 for the next.
    pub(crate) new_handles: (u64, u64),
}

impl Operation for CreateSocketPair {
    const VERB: &'static str = "CreateSocketPair";
    type Output = (Handle, Handle);

    fn handle(&self) -> Option<Handle> {
        None
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let flags = if self.nonblocking {
            "|SOCK_NONBLOCK"
        } else {
            ""
        };
        write!(
            call,
            "socketpair({}, {}{flags}, {})",
            self.domain, self.kind, self.protocol
        )
    }

    fn answer(output: &(Handle, Handle)) -> Answer<'_> {
        let (first, second) = *output;
        Answer::number(0)
            .with(format_args!("[{first}, {second}]"))
            .made(&[first, second])
    }

    async fn execute(self, context: &Context) -> Result<(Handle, Handle)> {
        let call = || {
            Call::new("socketpair").with(format_args!(
                "{}, {}, {}",
                self.domain, self.kind, self.protocol
            ))
        };
        let failed = |error| call().failed(error);
        sys::socket::check_listed(self.domain, self.kind, context.engine.allowed().families)?;
        let table = &context.engine.table;
        let claim = context.claim(self.new_handles.0)?;
        let other_claim = context.claim(self.new_handles.1)?;
        let (room, other_room) = (table.reserve()?, table.reserve()?);
        let (domain, kind, protocol) = (self.domain, self.kind, self.protocol);
        let slow = sys::socket::may_load_a_module(domain, kind, protocol);
        let pair = blocking::in_place(slow, || sys::socket::pair(domain, kind, protocol));
        let (fd, other_fd) = pair.map_err(failed)?;
        let kind = sys::socket::kind(fd.as_fd()).map_err(failed)?;
        let first = context.keep(room, claim, fd, kind, self.nonblocking)?;
        let second = context.keep(other_room, other_claim, other_fd, kind, self.nonblocking)?;
        context.made(call, &[first.handle(), second.handle()])?;
        Ok((first.handle(), second.handle()))
    }
}
