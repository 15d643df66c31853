//! GetSocketName on the wire.

use farsock_proto::{
    Violation,
    address::Address,
    v1::{GetSocketNameRequest, GetSocketNameResponse},
};

use super::Verb;
use crate::{operation::GetSocketName, table::Handle};

impl Verb for GetSocketNameRequest {
    type Operation = GetSocketName;
    type Response = GetSocketNameResponse;

    fn operation(&mut self) -> Result<GetSocketName, Violation> {
        Ok(GetSocketName {
            handle: Handle(self.handle),
        })
    }

    fn response(self, address: Option<Address>) -> GetSocketNameResponse {
        GetSocketNameResponse {
            address: address.map(Into::into),
        }
    }
}
