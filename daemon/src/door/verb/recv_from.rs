//! RecvFrom on the wire.

use farsock_proto::{
    Violation,
    message::MessageFlags,
    v1::{RecvFromRequest, RecvFromResponse, recv_from_response::Payload},
};

use super::{Verb, length, timeout};
use crate::{
    operation::{ReceivedMessage, RecvFrom},
    table::Handle,
};

impl Verb for RecvFromRequest {
    type Operation = RecvFrom;
    type Response = RecvFromResponse;

    fn operation(&mut self) -> Result<RecvFrom, Violation> {
        Ok(RecvFrom {
            handle: Handle(self.handle),
            length: length(self.length)?,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, received: ReceivedMessage) -> RecvFromResponse {
        RecvFromResponse {
            address: received.address.map(Into::into),
            end_of_stream: received.end_of_stream,
            flags: received.flags.to_wire(),
            full_length: received.full_length as u64,
            payload: Some(Payload::from_bytes(received.data, self.as_text)),
        }
    }
}
