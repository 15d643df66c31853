//! The client: one connection to a daemon, shared by all that comes from it.

use std::{fmt, future::Future, io, sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{Builder, Result};

/// One connection to a daemon. Clones share it, and cost an [`Arc`]'s clone.
///
/// When the connection breaks, calls in flight end as
/// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) and the next call connects again. No
/// call is made twice. Handles outlive the connection, though not the daemon: by default a client
/// keeps to the daemon instance that it found first ([`Builder::pin_instance`]).
///
/// Belongs to the tokio runtime that it was connected on, and must not outlive it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    /// What `farsock-instance` says in each call's metadata.
    instance: Option<MetadataValue<Ascii>>,
    /// Where sockets that are dropped are closed: the runtime that drives `transport`.
    runtime: tokio::runtime::Handle,
}

/// The connection, and what holds for all calls on it.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) channel: Channel,
    pub(crate) timeout: Option<Duration>,
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
    /// with the connection is told here, not by the first call.
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

    pub(crate) fn new(
        transport: Transport,
        instance: Option<MetadataValue<Ascii>>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                transport,
                instance,
                runtime,
            }),
        }
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
            .field("timeout", &self.inner.transport.timeout)
            .finish_non_exhaustive()
    }
}
