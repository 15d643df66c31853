//! Ends sessions.

use farsock_proto::v1;

use crate::{Client, Result, call::Rpc};

impl Rpc for v1::CloseSessionRequest {
    type Response = v1::CloseSessionResponse;
    const PATH: &'static str = "/farsock.v1.SessionService/CloseSession";
    const VERB: &'static str = "close session";
}

impl Client {
    /// Ends the client's own session, for all its clones: its operations end, its sockets are closed, and it is told how many they
    /// were. Returns when the kernel has closed them, so that their addresses are free. A client without a session of its own has
    /// nothing to end.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionNotFound`](crate::Reason::SessionNotFound) if it was over.
    pub async fn close(self) -> Result<u32> {
        match self.stream() {
            Some(stream) => self.close_session(stream.session_id(), false).await,
            None => Ok(0),
        }
    }

    /// Ends a session of the caller's: its operations end, its sockets are closed (TCP connections by
    /// reset if `abort` says so), and it is told how many they were. Returns when the kernel has
    /// closed them.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionNotFound`](crate::Reason::SessionNotFound).
    pub async fn close_session(&self, id: &str, abort: bool) -> Result<u32> {
        let request = v1::CloseSessionRequest {
            session_id: id.to_owned(),
            abort,
        };
        Ok(self.call(request).await?.closed_sockets)
    }
}
