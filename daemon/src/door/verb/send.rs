//! Send on the wire.

use farsock_proto::{
    Violation,
    message::MessageFlags,
    v1::{SendRequest, SendResponse},
};

use super::{Verb, payload, timeout};
use crate::{operation::Send, table::Handle};

impl Verb for SendRequest {
    type Operation = Send;
    type Response = SendResponse;

    fn operation(&mut self) -> Result<Send, Violation> {
        let data = self.payload.take().map(Into::into).unwrap_or_default();
        Ok(Send {
            handle: Handle(self.handle),
            data: payload("data", data)?,
            flags: MessageFlags::from_wire(&self.flags, self.raw_flags)?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, sent: usize) -> SendResponse {
        SendResponse {
            bytes_sent: sent as u64,
        }
    }
}
