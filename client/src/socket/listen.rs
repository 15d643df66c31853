//! listen(2).

use farsock_proto::v1;

use crate::{
    RemoteSocket, Result,
    call::{Carried, Rpc, carried},
};

impl Rpc for v1::ListenRequest {
    type Response = v1::ListenResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Listen";
    const VERB: &'static str = "listen";
    const CARRIED: Option<Carried<Self>> = carried!(Listen);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Makes the socket wait for connections. `backlog`, how many may wait for an accept, goes to
    /// the kernel as it is, which caps it at net.core.somaxconn; `None`: 4,096. Corresponds to
    /// listen(2).
    ///
    /// # Errors
    ///
    /// As of listen(2): EOPNOTSUPP, EADDRINUSE ...
    pub async fn listen(&self, backlog: impl Into<Option<i32>>) -> Result<()> {
        let request = v1::ListenRequest {
            handle: self.handle,
            backlog: backlog.into(),
        };
        self.client.call(request).await?;
        Ok(())
    }
}
