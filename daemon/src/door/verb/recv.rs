//! Recv on the wire.

use farsock_proto::{
    Violation,
    message::MessageFlags,
    v1::{RecvRequest, RecvResponse, recv_response::Payload},
};

use super::{Verb, length, timeout};
use crate::{
    operation::{ReceivedMessage, Recv},
    table::Handle,
};

impl Verb for RecvRequest {
    type Operation = Recv;
    type Response = RecvResponse;

    fn operation(&mut self) -> Result<Recv, Violation> {
        Ok(Recv {
            handle: Handle(self.handle),
            length: length(self.length)?,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, received: ReceivedMessage) -> RecvResponse {
        RecvResponse {
            end_of_stream: received.end_of_stream,
            flags: received.flags.to_wire(),
            full_length: received.full_length as u64,
            payload: Some(Payload::from_bytes(received.data, self.as_text)),
        }
    }
}
