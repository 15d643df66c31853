//! Bind on the wire.

use farsock_proto::{
    Violation,
    address::Address,
    v1::{BindRequest, BindResponse},
};

use super::{Verb, address};
use crate::{operation::Bind, table::Handle};

impl Verb for BindRequest {
    type Operation = Bind;
    type Response = BindResponse;

    fn operation(&mut self) -> Result<Bind, Violation> {
        Ok(Bind {
            handle: Handle(self.handle),
            address: address(self.address.take())?,
        })
    }

    fn response(self, local: Option<Address>) -> BindResponse {
        BindResponse {
            local_address: local.map(Into::into),
        }
    }
}
