//! bind(2).

use farsock_proto::v1;

use crate::{
    Address, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
};

impl Rpc for v1::BindRequest {
    type Response = v1::BindResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Bind";
    const VERB: &'static str = "bind";
    const CARRIED: Option<Carried<Self>> = carried!(Bind);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Gives the socket a local address, and tells which: with the port, or the name, that the
    /// kernel chose. Corresponds to bind(2), and getsockname(2) for the answer.
    ///
    /// `address` is a [`SocketAddr`](std::net::SocketAddr), an [`Address`], or its text, such as
    /// "127.0.0.1:0", "[fe80::1%eth0]:80" or "unix:/run/a.sock", which the daemon reads.
    ///
    /// # Errors
    ///
    /// As of bind(2): EADDRINUSE, EACCES, EADDRNOTAVAIL ...
    pub async fn bind(&self, address: impl Into<v1::Address>) -> Result<Address> {
        let request = v1::BindRequest {
            handle: self.handle,
            address: Some(address.into()),
        };
        self.client
            .ask(request, |response| {
                crate::convert::address("local_address", response.local_address)
            })
            .await
    }
}
