//! Shutdown on the wire.

use farsock_proto::{
    Violation,
    socket::ShutdownHow,
    v1::{ShutdownRequest, ShutdownResponse},
};

use super::Verb;
use crate::{operation::Shutdown, table::Handle};

impl Verb for ShutdownRequest {
    type Operation = Shutdown;
    type Response = ShutdownResponse;

    fn operation(&mut self) -> Result<Shutdown, Violation> {
        Ok(Shutdown {
            handle: Handle(self.handle),
            how: ShutdownHow::from_wire(self.how).map_err(|v| v.within("how"))?,
        })
    }

    fn response(self, (): ()) -> ShutdownResponse {
        ShutdownResponse {}
    }
}
