//! RecvFrom: recvfrom(2).

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use farsock_proto::message::MessageFlags;

use super::{Context, Operation, ReceivedMessage};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    socket::{Fault, ReceiveRequest},
    table::Handle,
};

/// Receives bytes or a message, and its sender's address.
#[derive(Debug)]
pub(crate) struct RecvFrom {
    pub(crate) handle: Handle,
    pub(crate) length: usize,
    pub(crate) flags: MessageFlags,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for RecvFrom {
    const VERB: &'static str = "RecvFrom";
    type Output = ReceivedMessage;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn room(&self) -> usize {
        1024 + self.length
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "recvfrom({}, ", self.handle)?;
        call.payload();
        write!(call, ", {}, {})", self.length, self.flags)
    }

    fn answer(output: &ReceivedMessage) -> Answer<'_> {
        output.answer()
    }

    async fn execute(self, context: &Context) -> Result<ReceivedMessage> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        let request = ReceiveRequest {
            length: self.length,
            flags: self.flags,
            address: true,
        };
        let failed = |fault: Fault| fault.on(Call::on("recvfrom", self.handle));
        let taken = socket
            .receive(&context.engine, &patience, request)
            .await
            .map_err(failed)?;
        let messages = ReceivedMessage::answer_with(context, &socket, (request, 0), taken);
        let message = messages.map_err(failed)?.pop();
        Ok(message.expect("a receive has one message, if only an empty one"))
    }
}
