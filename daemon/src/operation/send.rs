//! Send: send(2).

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use farsock_proto::message::MessageFlags;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    table::Handle,
};

/// Sends on a connected socket; answers how many bytes the kernel took.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) handle: Handle,
    pub(crate) data: Bytes,
    pub(crate) flags: MessageFlags,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for Send {
    const VERB: &'static str = "Send";
    type Output = usize;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "send({}, ", self.handle)?;
        call.payload();
        write!(call, ", {}, {})", self.data.len(), self.flags)
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
            .send(&context.engine, &patience, &self.data, self.flags, None)
            .await
            .map_err(|fault| {
                fault
                    .on(Call::on("send", self.handle)
                        .with(format_args!("{} bytes", self.data.len())))
            })
    }
}
