//! Connect: connect(2), and getsockname(2) for what the kernel chose.

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
    time::Duration,
};

use farsock_proto::address::Address;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    sys,
    table::Handle,
};

/// Connects a socket; answers the local address it has then.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) handle: Handle,
    pub(crate) address: Address,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for Connect {
    const VERB: &'static str = "Connect";
    type Output = Option<Address>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "connect({}, {})", self.handle, self.address)
    }

    fn answer(output: &Option<Address>) -> Answer<'_> {
        Answer::number(0).with_any(output.as_ref())
    }

    async fn execute(self, context: &Context) -> Result<Option<Address>> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        socket
            .connect(&context.engine, &patience, &self.address)
            .await
            .map_err(|fault| {
                let call = Call::on("connect", self.handle).with(&self.address);
                fault.on(call.leaving(socket.left_by_connect()))
            })?;
        Ok(sys::socket::local_address(socket.as_fd()).unwrap_or_default())
    }
}
