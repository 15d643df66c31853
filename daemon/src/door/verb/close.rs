//! Close on the wire.

use farsock_proto::{
    Violation,
    v1::{CloseRequest, CloseResponse},
};

use super::Verb;
use crate::{operation::Close, table::Handle};

impl Verb for CloseRequest {
    type Operation = Close;
    type Response = CloseResponse;

    fn operation(&mut self) -> Result<Close, Violation> {
        Ok(Close {
            handle: Handle(self.handle),
            abort: self.abort,
        })
    }

    fn response(self, (): ()) -> CloseResponse {
        CloseResponse {}
    }
}
