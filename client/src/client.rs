//! The client: one connection to a daemon, shared by all that comes from it.

use std::{fmt, future::Future, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OnceCell,
};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{Builder, Result, pump::Pump, stream::Stream};

/// One connection to a daemon, and a session on it. Clones share both, and cost an [`Arc`]'s clone.
///
/// # Its session
///
/// Calls on sockets are operations on the stream of a session, which connecting opens: one round trip
/// for the session, none for the stream, and one task on the runtime. They do not hold each other up,
/// and survive the connection: when it breaks, the client connects again by itself, resends what was
/// not answered under the same ids, and each call happens once. If the daemon cannot be reached until
/// the session's lease is over, or does not know the session any more (it was restarted), every call
/// ends as [`Reason::SessionExpired`](crate::Reason::SessionExpired), and the client is of use for one thing more:
/// [`open_session_when_reachable`](Self::open_session_when_reachable) opens the next session.
/// [`watch_session`](Self::watch_session) tells of all this as it happens.
///
/// A connection that carries nothing any more and does not break is found out by pings, within half of
/// the lease ([`Builder::keep_alive`]).
///
/// The session's sockets live as long as the session. [`close`](Self::close) ends it, and returns when
/// they are closed; so does the drop of the last clone, but nobody waits for it: a program that starts
/// again in the same moment may find its addresses in use. If the process dies, the lease ends the session
/// (30 s). Sockets that shall outlive the client need [`Builder::unary`].
///
/// More calls than the daemon takes at once wait for room, in order. A close may overtake them: it
/// makes room.
///
/// # Without a session
///
/// Calls of a client without one ([`Builder::unary`]), and calls that are not on sockets, are RPCs of
/// their own: when the connection breaks, those in flight end as
/// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) and the next call connects again. No
/// call is made twice. Handles outlive the connection, though not the daemon: by default such a
/// client keeps to the daemon instance that it found first ([`Builder::pin_instance`]).
///
/// # Its runtime
///
/// Belongs to the tokio runtime that it was connected on, and must not outlive it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    /// What `farsock-instance` says in each unary call's metadata.
    instance: Option<MetadataValue<Ascii>>,
    /// What `farsock-session` says in each unary call's metadata.
    joined: Option<MetadataValue<Ascii>>,
    /// The session whose stream carries the operations.
    stream: Option<Stream>,
    /// Where sockets that are dropped are closed: the runtime that drives `transport`.
    runtime: tokio::runtime::Handle,
}

/// The connection, and what holds for all calls on it.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) channel: Channel,
    /// Moves the channel's messages.
    pub(crate) pump: Pump,
    /// A connection of its own for bulk data, made when it is first used: calls do not wait behind bulk data.
    pub(crate) bulk: Channel,
    /// Moves the bulk data.
    pub(crate) bulk_pump: Pump,
    /// The instance that opened the session, or that the first flow found.
    pub(crate) found: Arc<OnceCell<MetadataValue<Ascii>>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_response_bytes: usize,
}

impl Client {
    /// Connects to the daemon at `unix:///PATH` or `tcp://HOST:PORT`, with the defaults of
    /// [`Builder`].
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if `address` is not one, and
    /// [`Unreachable`](crate::ErrorKind::Unreachable) if no daemon answers there: what is wrong
    /// with the connection is told here, not by the first call. Those of
    /// [`open_session`](Self::open_session) as well.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::builder().connect(address).await
    }

    /// Connects by `connector`, which opens the byte stream to the daemon, at first and again
    /// whenever it broke: for transports of one's own, and for daemons in the same process.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](crate::ErrorKind::Unreachable) if `connector` fails or no daemon answers.
    pub async fn connect_with<C, F, IO>(connector: C) -> Result<Self>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::builder().connect_with(connector).await
    }

    /// Options, to be set before connecting.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client without a session.
    pub(crate) fn new(
        transport: Transport,
        instance: Option<MetadataValue<Ascii>>,
        joined: Option<MetadataValue<Ascii>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                transport,
                instance,
                joined,
                stream: None,
                runtime: tokio::runtime::Handle::current(),
            }),
        }
    }

    /// A client on the same connection whose calls are operations of a session, which this instance has opened.
    pub(crate) fn with_stream(
        &self,
        stream: Stream,
        instance: Option<MetadataValue<Ascii>>,
    ) -> Self {
        let found = instance.filter(|instance| !instance.is_empty());
        Self {
            inner: Arc::new(Inner {
                transport: Transport {
                    found: Arc::new(OnceCell::new_with(found)),
                    ..self.inner.transport.clone()
                },
                instance: self.inner.instance.clone(),
                joined: None,
                stream: Some(stream),
                runtime: self.inner.runtime.clone(),
            }),
        }
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.inner.stream.as_ref()
    }

    pub(crate) fn joined(&self) -> Option<&MetadataValue<Ascii>> {
        self.inner.joined.as_ref()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn instance(&self) -> Option<&MetadataValue<Ascii>> {
        self.inner.instance.as_ref()
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.inner.runtime
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("instance", &self.inner.instance)
            .field("session", &self.session_id())
            .field("timeout", &self.inner.transport.timeout)
            .finish_non_exhaustive()
    }
}
