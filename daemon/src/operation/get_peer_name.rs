//! GetPeerName: getpeername(2).

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

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "getpeername({})", self.handle)
    }

    fn answer(output: &Option<Address>) -> Answer<'_> {
        Answer::number(0).with_any(output.as_ref())
    }

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let socket = context.socket(self.handle)?;
        sys::socket::peer_address(socket.as_fd())
            .map_err(|error| Call::on("getpeername", self.handle).failed(error))
    }
}
