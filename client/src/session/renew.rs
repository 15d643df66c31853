//! Renews sessions.

use std::time::SystemTime;

use farsock_proto::v1;

use crate::{Client, Result, call::Rpc, convert};

impl Rpc for v1::RenewSessionRequest {
    type Response = v1::RenewSessionResponse;
    const PATH: &'static str = "/farsock.v1.SessionService/RenewSession";
    const VERB: &'static str = "renew session";
}

impl Client {
    /// Renews a session's lease, and tells when it is over unless it is renewed again, by the daemon's
    /// clock. Clients renew their own sessions by themselves.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionNotFound`](crate::Reason::SessionNotFound).
    pub async fn renew_session(&self, id: &str) -> Result<SystemTime> {
        let request = v1::RenewSessionRequest {
            session_id: id.to_owned(),
        };
        self.ask(request, |response| {
            convert::time("expire_time", response.expire_time)
        })
        .await
    }
}
