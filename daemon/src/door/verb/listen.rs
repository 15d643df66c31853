//! Listen on the wire.

use farsock_proto::{
    Violation,
    v1::{ListenRequest, ListenResponse},
};

use super::Verb;
use crate::{operation::Listen, table::Handle};

/// What SOMAXCONN is since Linux 5.4.
const DEFAULT_BACKLOG: i32 = 4096;

impl Verb for ListenRequest {
    type Operation = Listen;
    type Response = ListenResponse;

    fn operation(&mut self) -> Result<Listen, Violation> {
        Ok(Listen {
            handle: Handle(self.handle),
            backlog: self.backlog.unwrap_or(DEFAULT_BACKLOG),
        })
    }

    fn response(self, (): ()) -> ListenResponse {
        ListenResponse {}
    }
}
