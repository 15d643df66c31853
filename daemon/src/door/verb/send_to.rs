//! SendTo on the wire.

use farsock_proto::{
    Violation,
    message::MessageFlags,
    v1::{SendToRequest, SendToResponse},
};

use super::{Verb, optional_address, payload, timeout};
use crate::{operation::SendTo, table::Handle};

impl Verb for SendToRequest {
    type Operation = SendTo;
    type Response = SendToResponse;

    fn operation(&mut self) -> Result<SendTo, Violation> {
        let data = self.payload.take().map(Into::into).unwrap_or_default();
        Ok(SendTo {
            handle: Handle(self.handle),
            address: optional_address(self.address.take())?,
            data: payload("data", data)?,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, sent: usize) -> SendToResponse {
        SendToResponse {
            bytes_sent: sent as u64,
        }
    }
}
