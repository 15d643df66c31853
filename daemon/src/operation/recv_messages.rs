//! RecvMessages: recvmsg(2) and recvmmsg(2).

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

/// Receives several messages, each with address, flags and control messages.
#[derive(Debug)]
pub(crate) struct RecvMessages {
    pub(crate) handle: Handle,
    pub(crate) count: usize,
    pub(crate) length: usize,
    pub(crate) control_length: usize,
    pub(crate) flags: MessageFlags,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for RecvMessages {
    const VERB: &'static str = "RecvMessages";
    type Output = Vec<ReceivedMessage>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn room(&self) -> usize {
        // Beside its data each has an address, flags, and control messages that are longer on the wire than in the kernel.
        1024 + self.count * (self.length + self.control_length + 1024)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let name = if self.count == 1 {
            "recvmsg"
        } else {
            "recvmmsg"
        };
        write!(call, "{name}({}, {{", self.handle)?;
        call.payload();
        write!(call, ", {}}}, ", self.length)?;
        if self.count != 1 {
            write!(call, "..., {}, ", self.count)?;
        }
        write!(call, "{})", self.flags)
    }

    fn answer(output: &Vec<ReceivedMessage>) -> Answer<'_> {
        match output.as_slice() {
            [message] => message.answer(),
            messages => {
                let made = messages.iter().flat_map(ReceivedMessage::handles);
                let answer = Answer::number(messages.len())
                    .moved(messages.iter().map(|message| message.data.len()).sum())
                    .made(&made.collect::<Vec<_>>());
                match messages.first() {
                    Some(first) => answer.payload(&first.data),
                    None => answer,
                }
            }
        }
    }

    async fn execute(self, context: &Context) -> Result<Vec<ReceivedMessage>> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        let request = ReceiveRequest {
            length: self.length,
            flags: self.flags,
            address: true,
        };
        let failed = |fault: Fault| fault.on(Call::on("recvmmsg", self.handle));
        let taken = socket
            .receive_messages(
                &context.engine,
                &patience,
                request,
                self.count,
                self.control_length,
            )
            .await
            .map_err(failed)?;
        let asked = (request, self.control_length);
        ReceivedMessage::answer_with(context, &socket, asked, taken).map_err(failed)
    }
}
