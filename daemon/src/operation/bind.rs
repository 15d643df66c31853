//! Bind: bind(2), and getsockname(2) for what the kernel chose.

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use farsock_proto::address::Address;

use super::{Context, Operation};
use crate::{
    blocking,
    error::{Call, Result},
    journal::{Answer, CallText},
    sys,
    table::Handle,
};

/// Gives a socket a local address; answers the address it has then.
#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) handle: Handle,
    pub(crate) address: Address,
}

impl Operation for Bind {
    const VERB: &'static str = "Bind";
    type Output = Option<Address>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "bind({}, {})", self.handle, self.address)
    }

    fn answer(output: &Option<Address>) -> Answer<'_> {
        Answer::number(0).with_any(output.as_ref())
    }

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let socket = context.socket(self.handle)?;
        let bind = || sys::socket::bind(socket.as_fd(), &self.address);
        blocking::in_place(sys::socket::binds_slowly(socket.kind()), bind).map_err(|error| {
            Call::on("bind", self.handle)
                .with(&self.address)
                .failed(error)
        })?;
        // Bound is bound: that the name cannot be told (it always can) would not undo it.
        Ok(sys::socket::local_address(socket.as_fd()).unwrap_or_default())
    }
}
