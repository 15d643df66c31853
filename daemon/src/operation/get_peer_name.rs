//! GetPeerName: getpeername(2).

use std::os::fd::AsFd;

use farsock_proto::address::Address;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    sys,
    table::Handle,
};

/// Tells the address of a socket's peer.
#[derive(Debug)]
pub(crate) struct GetPeerName {
    pub(crate) handle: Handle,
}

impl Operation for GetPeerName {
    const VERB: &'static str = "GetPeerName";
    type Output = Option<Address>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let socket = context.socket(self.handle)?;
        sys::socket::peer_address(socket.as_fd())
            .map_err(|error| Call::on("getpeername", self.handle).failed(error))
    }
}
