//! SendTo: sendto(2).

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use farsock_proto::{address::Address, message::MessageFlags};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
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

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "sendto({}, ", self.handle)?;
        call.payload();
        write!(call, ", {}, {}, ", self.data.len(), self.flags)?;
        match &self.address {
            Some(address) => write!(call, "{address})"),
            None => call.write_str("NULL)"),
        }
    }

    fn weight(&self) -> usize {
        self.data.len()
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(&self.data)
    }

    fn answer(output: &usize) -> Answer<'_> {
        Answer::number(*output).moved(*output)
    }

    async fn execute(self, context: &Context) -> Result<usize> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
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
