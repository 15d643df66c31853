//! ListSockets on the wire.

use farsock_proto::{
    Violation,
    v1::{ListSocketsRequest, ListSocketsResponse},
};

use super::{Verb, get_socket, page_size};
use crate::{
    operation::{ListSockets, SocketPage},
    table::Handle,
};

/// The page if the request names no size.
const DEFAULT_PAGE: usize = 100;
/// The largest page.
const MAX_PAGE: usize = 1000;

impl Verb for ListSocketsRequest {
    type Operation = ListSockets;
    type Response = ListSocketsResponse;

    fn operation(&mut self) -> Result<ListSockets, Violation> {
        let after = match self.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_not_a_number| {
                Violation::new("page_token", "is not a next_page_token of this call")
            })?,
        };
        Ok(ListSockets {
            after: Handle(after),
            count: page_size(self.page_size, DEFAULT_PAGE, MAX_PAGE)?,
        })
    }

    fn response(self, page: SocketPage) -> ListSocketsResponse {
        ListSocketsResponse {
            sockets: page.sockets.into_iter().map(get_socket::socket).collect(),
            next_page_token: page
                .next
                .map(|handle| handle.to_string())
                .unwrap_or_default(),
        }
    }
}
