//! The caller's sockets in the daemon.

use farsock_proto::v1;

use crate::{
    Client, Error, Result, SocketInfo,
    call::{Carried, Rpc, Tried, carried},
    convert::PAGE_SIZE,
    socket::info::socket_info,
};

impl Rpc for v1::ListSocketsRequest {
    type Response = v1::ListSocketsResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/ListSockets";
    const VERB: &'static str = "list sockets";
    const CARRIED: Option<Carried<Self>> = carried!(ListSockets);
}

impl Client {
    /// Lists the caller's sockets by handle, upwards: all of them, in as many calls as it takes.
    /// Sockets that are closed meanwhile may be among them.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn sockets(&self) -> Result<Vec<SocketInfo>> {
        let mut sockets = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListSocketsRequest {
                page_size: PAGE_SIZE,
                page_token,
            };
            let tried = Tried::of(&request);
            let page = self.call(request).await?;
            for socket in page.sockets {
                let socket = socket_info(socket).map_err(|violation| {
                    Error::invalid_response(tried, violation.within("sockets"))
                })?;
                sockets.push(socket);
            }
            if page.next_page_token.is_empty() {
                return Ok(sockets);
            }
            page_token = page.next_page_token;
        }
    }
}
