//! GetPeerName on the wire.

use farsock_proto::{
    Violation,
    address::Address,
    v1::{GetPeerNameRequest, GetPeerNameResponse},
};

use super::Verb;
use crate::{operation::GetPeerName, table::Handle};

impl Verb for GetPeerNameRequest {
    type Operation = GetPeerName;
    type Response = GetPeerNameResponse;

    fn operation(&mut self) -> Result<GetPeerName, Violation> {
        Ok(GetPeerName {
            handle: Handle(self.handle),
        })
    }

    fn response(self, address: Option<Address>) -> GetPeerNameResponse {
        GetPeerNameResponse {
            address: address.map(Into::into),
        }
    }
}
