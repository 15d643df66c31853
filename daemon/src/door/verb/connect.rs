//! Connect on the wire.

use farsock_proto::{
    Violation,
    address::Address,
    v1::{ConnectRequest, ConnectResponse},
};

use super::{Verb, address, timeout};
use crate::{operation::Connect, table::Handle};

impl Verb for ConnectRequest {
    type Operation = Connect;
    type Response = ConnectResponse;

    fn operation(&mut self) -> Result<Connect, Violation> {
        Ok(Connect {
            handle: Handle(self.handle),
            address: address(self.address.take())?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, local: Option<Address>) -> ConnectResponse {
        ConnectResponse {
            local_address: local.map(Into::into),
        }
    }
}
