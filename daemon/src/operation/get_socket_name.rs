//! GetSocketName: getsockname(2).

use std::os::fd::AsFd;

use farsock_proto::address::Address;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
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

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let socket = context.socket(self.handle)?;
        sys::socket::local_address(socket.as_fd())
            .map_err(|error| Call::on("getsockname", self.handle).failed(error))
    }
}
