//! GetSocketName: getsockname(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use farsock_proto::address::Address;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    sys,
    table::Handle,
};

/// Tells a socket's local address.
#[derive(Debug)]
pub(crate) struct GetSocketName {
    pub(crate) handle: Handle,
}

impl Operation for GetSocketName {
    const VERB: &'static str = "GetSocketName";
    type Output = Option<Address>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "getsockname({})", self.handle)
    }

    fn answer(output: &Option<Address>) -> Answer<'_> {
        Answer::number(0).with_any(output.as_ref())
    }

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let socket = context.socket(self.handle)?;
        sys::socket::local_address(socket.as_fd())
            .map_err(|error| Call::on("getsockname", self.handle).failed(error))
    }
}
