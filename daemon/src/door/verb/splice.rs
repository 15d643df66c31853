//! Splice on the wire.

use farsock_proto::{
    Violation,
    v1::{SpliceRequest, SpliceResponse, SplicedDirection},
};

use super::{Verb, any, timeout};
use crate::{
    door::status,
    operation::{Moved, Splice, Spliced},
    table::Handle,
};

impl Verb for SpliceRequest {
    type Operation = Splice;
    type Response = SpliceResponse;

    fn operation(&mut self) -> Result<Splice, Violation> {
        Ok(Splice {
            first: Handle(self.first),
            second: Handle(self.second),
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, spliced: Spliced) -> SpliceResponse {
        SpliceResponse {
            first_to_second: Some(direction(&spliced.first_to_second)),
            second_to_first: spliced.second_to_first.as_ref().map(direction),
        }
    }
}

fn direction(moved: &Moved) -> SplicedDirection {
    let error = moved.error.as_ref();
    SplicedDirection {
        bytes: moved.bytes,
        undelivered: moved.undelivered,
        error: error.map(|error| any::failure(&status::status(error))),
    }
}
