//! Send: send(2).

use std::time::Duration;

use bytes::Bytes;
use farsock_proto::message::MessageFlags;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
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

    async fn execute(self, context: &Context) -> Result<usize> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        let _held = context.engine.hold(self.data.len())?;
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
