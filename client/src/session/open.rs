//! Opens sessions.

use std::{ops::Deref, time::Duration};

use farsock_proto::{time::duration_to_wire, v1};
use tokio::time::{sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};

use crate::{
    Client, Error, Result,
    call::{Rpc, Tried},
    convert,
    stream::{Backoff, Limits, Stream, Terms},
};

impl Rpc for v1::OpenSessionRequest {
    type Response = v1::OpenSessionResponse;
    const PATH: &'static str = "/farsock.v1.SessionService/OpenSession";
    const VERB: &'static str = "open session";
}

/// What a session shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long the session lives without a sign of its client, 1 s to 1 h; `None` (default): 30 s.
    /// The client gives one each third of it.
    pub lease: Option<Duration>,
    /// What then happens to its sockets. Default: they are closed.
    pub on_expiry: OnExpiry,
    /// A name for people, at most 256 bytes. Default: none.
    pub label: String,
}

/// What happens to a session's sockets when its lease is over, or the daemon ends in order.
/// [`close_session`](Client::close_session) has a choice of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExpiry {
    /// They are closed in good order.
    #[default]
    Close,
    /// TCP connections are reset.
    Abort,
}

impl SessionOptions {
    /// A session of 30 s without a name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the session lives without a sign of its client, 1 s to 1 h.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets what then happens to its sockets.
    #[must_use]
    pub fn on_expiry(mut self, on_expiry: OnExpiry) -> Self {
        self.on_expiry = on_expiry;
        self
    }

    /// Sets its name for people, at most 256 bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

impl From<SessionOptions> for v1::OpenSessionRequest {
    fn from(options: SessionOptions) -> Self {
        Self {
            lease: options.lease.map(duration_to_wire),
            on_expiry: match options.on_expiry {
                OnExpiry::Close => v1::OnExpiry::Close,
                OnExpiry::Abort => v1::OnExpiry::Abort,
            }
            .into(),
            label: options.label,
        }
    }
}

/// A session, and a [`Client`] whose calls are its operations.
///
/// Closed when it and all clones of its client are dropped, best effort, or by
/// [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Session {
    client: Client,
}

impl Client {
    /// Opens one more session on this connection: with sockets of its own, which end with it.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a lease out of range or a label that
    /// is too long, and [`Reason::QuotaExceeded`](crate::Reason::QuotaExceeded).
    pub async fn open_session(&self, options: SessionOptions) -> Result<Session> {
        let request = v1::OpenSessionRequest::from(options);
        let tried = Tried::of(&request);
        let opened = self.call(request).await?;
        let lease = convert::span("lease", opened.lease)
            .map_err(|violation| Error::invalid_response(tried, violation))?;
        let instance = opened.instance_id.parse::<MetadataValue<Ascii>>().ok();
        let terms = Terms {
            session_id: opened.session_id,
            first_handle: opened.first_handle,
            handle_count: opened.handle_count,
            limits: Limits {
                in_flight: opened.max_in_flight.try_into().unwrap_or(usize::MAX),
                results: opened.max_results.try_into().unwrap_or(usize::MAX),
                bytes: opened.max_result_bytes.try_into().unwrap_or(usize::MAX),
                lease,
            },
            attach_timeout: self.transport().connect_timeout,
        };
        let stream = Stream::start(self.transport().clone(), self.instance().cloned(), terms);
        Ok(Session {
            client: self.with_stream(stream, instance),
        })
    }

    /// As [`open_session`](Self::open_session), but where the daemon cannot be reached, does not answer or is shutting down, tries
    /// again: after 10 ms at first, up to 1 s in the end, for as long as it is waited for. For programs that go on in a new session
    /// when theirs is over ([`watch_session`](Self::watch_session)), such as by a restart of the daemon.
    ///
    /// # Errors
    ///
    /// As of [`open_session`](Self::open_session).
    pub async fn open_session_when_reachable(&self, options: SessionOptions) -> Result<Session> {
        let mut backoff = Backoff::new();
        loop {
            let within = self.transport().connect_timeout;
            // A session whose answer comes too late ends with its lease.
            if let Ok(opened) = timeout(within, self.open_session(options.clone())).await
                && !opened.as_ref().is_err_and(Error::is_broken)
            {
                return opened;
            }
            sleep(backoff.wait()).await;
        }
    }

    /// Opens a session that nobody uses yet, and tells its id: for programs that hand it on
    /// ([`Builder::join_session`](crate::Builder::join_session)). It lives for its lease, and longer as
    /// calls in it renew it.
    ///
    /// # Errors
    ///
    /// As of [`open_session`](Self::open_session).
    pub async fn open_session_detached(&self, options: SessionOptions) -> Result<String> {
        let opened = self.call(v1::OpenSessionRequest::from(options)).await?;
        Ok(opened.session_id)
    }

    /// The id of the client's session: 32 hexadecimal digits. None of a client without a session.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.stream()
            .map(Stream::session_id)
            .or_else(|| self.joined()?.to_str().ok())
    }
}

impl Session {
    /// The session's id: 32 hexadecimal digits. Who knows it, and has the same owner, may use the
    /// session.
    #[must_use]
    pub fn id(&self) -> &str {
        self.client.session_id().unwrap_or_default()
    }

    /// The client whose calls are the session's operations.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends the session and its operations, closes its sockets, and tells how many they were.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionNotFound`](crate::Reason::SessionNotFound) if it was over.
    pub async fn close(self) -> Result<u32> {
        self.client.close().await
    }

    pub(crate) fn into_client(self) -> Client {
        self.client
    }
}

/// A session is used as the client that it is.
impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
