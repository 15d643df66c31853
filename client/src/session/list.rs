//! The caller's sessions in the daemon.

use std::time::{Duration, SystemTime};

use farsock_proto::{Violation, v1};

use crate::{
    Client, Error, OnExpiry, Result,
    call::{Rpc, Tried},
    convert::{self, PAGE_SIZE},
};

impl Rpc for v1::ListSessionsRequest {
    type Response = v1::ListSessionsResponse;
    const PATH: &'static str = "/farsock.v1.SessionService/ListSessions";
    const VERB: &'static str = "list sessions";
}

/// A session's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// How long it lives without a sign of its client.
    pub lease: Duration,
    /// How much of that is left.
    pub lease_left: Duration,
    /// What happens to its sockets when it is over.
    pub on_expiry: OnExpiry,
    /// When it was opened, by the daemon's clock.
    pub create_time: SystemTime,
    /// Whether a stream is attached.
    pub attached: bool,
    /// How many sockets it has.
    pub sockets: u32,
    /// How many operations are in flight.
    pub in_flight: u32,
    /// How many results wait for acknowledgement.
    pub kept_results: u32,
}

impl Client {
    /// Lists the caller's sessions, oldest first: all of them, in as many calls as it takes.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let mut sessions = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListSessionsRequest {
                page_size: PAGE_SIZE,
                page_token,
            };
            let tried = Tried::of(&request);
            let page = self.call(request).await?;
            for session in page.sessions {
                let session = session_info(session).map_err(|violation| {
                    Error::invalid_response(tried, violation.within("sessions"))
                })?;
                sessions.push(session);
            }
            if page.next_page_token.is_empty() {
                return Ok(sessions);
            }
            page_token = page.next_page_token;
        }
    }
}

fn session_info(session: v1::Session) -> Result<SessionInfo, Violation> {
    Ok(SessionInfo {
        lease: convert::span("lease", session.lease)?,
        lease_left: convert::span("lease_left", session.lease_left)?,
        on_expiry: match session.on_expiry() {
            v1::OnExpiry::Unspecified | v1::OnExpiry::Close => OnExpiry::Close,
            v1::OnExpiry::Abort => OnExpiry::Abort,
        },
        create_time: convert::time("create_time", session.create_time)?,
        attached: session.attached,
        sockets: session.sockets,
        in_flight: session.in_flight,
        kept_results: session.kept_results,
        id: session.session_id,
        label: session.label,
    })
}
