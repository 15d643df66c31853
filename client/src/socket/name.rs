//! getsockname(2) and getpeername(2).

use farsock_proto::v1;

use crate::{
    Address, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::GetSocketNameRequest {
    type Response = v1::GetSocketNameResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/GetSocketName";
    const VERB: &'static str = "getsockname";
    const CARRIED: Option<Carried<Self>> = carried!(GetSocketName);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl Rpc for v1::GetPeerNameRequest {
    type Response = v1::GetPeerNameResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/GetPeerName";
    const VERB: &'static str = "getpeername";
    const CARRIED: Option<Carried<Self>> = carried!(GetPeerName);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Tells the local address; of an unbound internet socket it is zeros. Corresponds to
    /// getsockname(2).
    ///
    /// # Errors
    ///
    /// As of getsockname(2).
    pub async fn socket_name(&self) -> Result<Address> {
        let handle = self.handle;
        self.client
            .ask(v1::GetSocketNameRequest { handle }, |response| {
                convert::address("address", response.address)
            })
            .await
    }

    /// Tells the peer's address. Corresponds to getpeername(2).
    ///
    /// # Errors
    ///
    /// As of getpeername(2): ENOTCONN.
    pub async fn peer_name(&self) -> Result<Address> {
        let handle = self.handle;
        self.client
            .ask(v1::GetPeerNameRequest { handle }, |response| {
                convert::address("address", response.address)
            })
            .await
    }
}
