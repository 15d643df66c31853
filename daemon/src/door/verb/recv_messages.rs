//! RecvMessages on the wire.

use farsock_proto::{
    Violation,
    message::MessageFlags,
    v1::{self, RecvMessagesRequest, RecvMessagesResponse, received_message::Payload},
};

use super::{DEFAULT_LENGTH, Verb, bounded, timeout};
use crate::{
    operation::{MAX_CONTROL, MAX_MESSAGES, MAX_PAYLOAD, ReceivedMessage, RecvMessages},
    table::Handle,
};

/// Room for control messages, if the request names none: every kind that has a name fits.
const DEFAULT_CONTROL: usize = 1024;

impl Verb for RecvMessagesRequest {
    type Operation = RecvMessages;
    type Response = RecvMessagesResponse;

    fn operation(&mut self) -> Result<RecvMessages, Violation> {
        let count = self.max_messages.map(i64::from);
        let count = bounded(count, "max_messages", 1, 1, MAX_MESSAGES)?;
        let default = DEFAULT_LENGTH.min(MAX_PAYLOAD / count);
        let length = bounded(self.length, "length", default, 0, MAX_PAYLOAD)?;
        if length * count > MAX_PAYLOAD {
            return Err(Violation::new(
                "length",
                format!("{length} bytes for each of {count} messages are over {MAX_PAYLOAD}"),
            ));
        }
        let control = self.control_length.map(i64::from);
        Ok(RecvMessages {
            handle: Handle(self.handle),
            count,
            length,
            control_length: bounded(control, "control_length", DEFAULT_CONTROL, 0, MAX_CONTROL)?,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, messages: Vec<ReceivedMessage>) -> RecvMessagesResponse {
        let as_text = self.as_text;
        let messages = messages.into_iter();
        RecvMessagesResponse {
            messages: messages.map(|message| received(message, as_text)).collect(),
        }
    }
}

/// One message received.
pub(in crate::door) fn received(message: ReceivedMessage, as_text: bool) -> v1::ReceivedMessage {
    v1::ReceivedMessage {
        address: message.address.map(Into::into),
        end_of_stream: message.end_of_stream,
        flags: message.flags.to_wire(),
        full_length: message.full_length as u64,
        control: message.control.into_iter().map(Into::into).collect(),
        payload: Some(Payload::from_bytes(message.data, as_text)),
    }
}
