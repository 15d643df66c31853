//! shutdown(2).

use farsock_proto::v1;

use crate::{
    RemoteSocket, Result, ShutdownHow,
    call::{Carried, Rpc, carried},
};

impl Rpc for v1::ShutdownRequest {
    type Response = v1::ShutdownResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Shutdown";
    const VERB: &'static str = "shutdown";
    const CARRIED: Option<Carried<Self>> = carried!(Shutdown);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Ends one or both directions of a connection, at once. What was sent before stays before it;
    /// a send that waits for room ends with what it has sent by then, or EPIPE. To shut down after
    /// a send that may wait, await it, or chain both in a [`Pipeline`](crate::Pipeline). A TCP
    /// connection that is being made is given up: its connect is ECONNRESET. `how` is a
    /// [`std::net::Shutdown`] or a [`ShutdownHow`]. Corresponds to shutdown(2).
    ///
    /// # Errors
    ///
    /// As of shutdown(2): ENOTCONN.
    pub async fn shutdown(&self, how: impl Into<ShutdownHow>) -> Result<()> {
        let request = v1::ShutdownRequest {
            handle: self.handle,
            how: how.into().to_wire().into(),
        };
        self.client.call(request).await?;
        Ok(())
    }
}
