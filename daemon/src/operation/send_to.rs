//! SendTo: sendto(2).

use std::time::Duration;

use bytes::Bytes;
use farsock_proto::{address::Address, message::MessageFlags};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    table::Handle,
};

/// Sends to an address; answers how many bytes the kernel took.
#[derive(Debug)]
pub(crate) struct SendTo {
    pub(crate) handle: Handle,
    pub(crate) address: Option<Address>,
    pub(crate) data: Bytes,
    pub(crate) flags: MessageFlags,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for SendTo {
    const VERB: &'static str = "SendTo";
    type Output = usize;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    async fn execute(self, context: &Context) -> Result<usize> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        let _held = context.engine.hold(self.data.len())?;
        socket
            .send(
                &context.engine,
                &patience,
                &self.data,
                self.flags,
                self.address.as_ref(),
            )
            .await
            .map_err(|fault| {
                let call = Call::on("sendto", self.handle);
                fault.on(match &self.address {
                    Some(address) => {
                        call.with(format_args!("{} bytes to {address}", self.data.len()))
                    }
                    None => call.with(format_args!("{} bytes", self.data.len())),
                })
            })
    }
}
