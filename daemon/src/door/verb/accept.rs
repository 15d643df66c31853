//! Accept on the wire.

use farsock_proto::{
    Violation,
    v1::{AcceptRequest, AcceptResponse},
};

use super::{Verb, timeout};
use crate::{
    operation::{Accept, Accepted},
    table::Handle,
};

impl Verb for AcceptRequest {
    type Operation = Accept;
    type Response = AcceptResponse;

    fn operation(&mut self) -> Result<Accept, Violation> {
        Ok(Accept {
            handle: Handle(self.handle),
            nonblocking: self.nonblocking,
            new_handle: self.new_handle,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, accepted: Accepted) -> AcceptResponse {
        AcceptResponse {
            handle: accepted.handle.0,
            peer_address: accepted.peer.map(Into::into),
        }
    }
}
