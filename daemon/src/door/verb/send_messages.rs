//! SendMessages on the wire.

use farsock_proto::{
    Violation,
    message::{ControlMessage, MessageFlags},
    v1::{self, SendMessagesRequest, SendMessagesResponse},
};

use super::{Verb, apart, optional_address, timeout};
use crate::{
    operation::{self, MAX_MESSAGES, MAX_PAYLOAD, OutgoingMessage, SendMessages},
    table::Handle,
};

impl Verb for SendMessagesRequest {
    type Operation = SendMessages;
    type Response = SendMessagesResponse;

    fn operation(&mut self) -> Result<SendMessages, Violation> {
        let messages = std::mem::take(&mut self.messages);
        counted(&messages)?;
        let messages: Vec<OutgoingMessage> = messages
            .into_iter()
            .enumerate()
            .map(|(at, wire)| message(wire).map_err(|v| v.within(&format!("messages[{at}]"))))
            .map(|message| message.map(by_itself))
            .collect::<Result<_, _>>()?;
        let total: usize = messages.iter().map(|message| message.data.len()).sum();
        if total > MAX_PAYLOAD {
            let description = format!("{total} bytes together are over {MAX_PAYLOAD}");
            return Err(Violation::new("messages", description));
        }
        Ok(SendMessages {
            handle: Handle(self.handle),
            messages,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, sent: Vec<usize>) -> SendMessagesResponse {
        SendMessagesResponse {
            bytes_sent: sent.into_iter().map(|bytes| bytes as u64).collect(),
        }
    }
}

/// The message without what it came with.
fn by_itself(message: OutgoingMessage) -> OutgoingMessage {
    let control = message.control.into_iter().map(|control| match control {
        ControlMessage::Raw { level, kind, data } => {
            let data = apart(&data);
            ControlMessage::Raw { level, kind, data }
        }
        other => other,
    });
    OutgoingMessage {
        data: apart(&message.data),
        address: message.address,
        control: control.collect(),
    }
}

/// Refuses the field `messages` of a send that has none, or too many.
pub(in crate::door) fn counted(messages: &[v1::OutgoingMessage]) -> Result<(), Violation> {
    if !(1..=MAX_MESSAGES).contains(&messages.len()) {
        let count = messages.len();
        let description = format!("{count} are not within 1-{MAX_MESSAGES}");
        return Err(Violation::new("messages", description));
    }
    Ok(())
}

/// One message to send.
pub(in crate::door) fn message(wire: v1::OutgoingMessage) -> Result<OutgoingMessage, Violation> {
    Ok(OutgoingMessage {
        data: wire.payload.map(Into::into).unwrap_or_default(),
        address: optional_address(wire.address)?,
        control: wire
            .control
            .into_iter()
            .enumerate()
            .map(|(at, control)| {
                ControlMessage::from_wire(control, &operation::interface_index)
                    .map_err(|v| v.within(&format!("control[{at}]")))
            })
            .collect::<Result<_, _>>()?,
    })
}
