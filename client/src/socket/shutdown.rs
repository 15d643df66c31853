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
    /// Ends one or both directions of a connection; the end of writing takes its place behind the
    /// sends before it. `how` is a [`std::net::Shutdown`] or a [`ShutdownHow`]. Corresponds to
    /// shutdown(2).
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
