//! One connection: preface, HTTP/2, the calls it carries, and its end.
//!
//! Tasks: one per connection, spawned by [`accept`](super::accept); its calls run within it, see [`calls`](super::calls).
//!
//! HTTP/2 in the h2 crate answers PROTOCOL_ERROR to a malformed `:authority` before any of this code sees the request. A client
//! that makes one of a unix socket's path must be told another: grpcio by the option `grpc.default_authority=localhost`, grpcurl
//! by `-unix` or `-authority localhost`. Any well-formed authority is taken; nothing here looks at it.

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tonic::service::Routes;

use super::{
    Stream,
    calls::{Calls, Companions, Driver},
    grpc,
    metered::HandedBack,
    preface,
};
use crate::{engine::Owner, memory::Memory, shutdown::Shutdown};

/// How long a connection may take to send its preface, 24 bytes.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection without calls has, once the daemon drains, to take what was sent to it and leave. A live client leaves
/// within a round trip.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves connections: what they all share.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    routes: Routes,
    shutdown: Shutdown,
    memory: Arc<Memory>,
}

impl Connections {
    /// Connections that carry calls to `routes` until `shutdown`, and tell `memory` of their ends.
    pub(crate) fn new(routes: Routes, shutdown: Shutdown, memory: Arc<Memory>) -> Self {
        Self {
            routes: routes.prepare(),
            shutdown,
            memory,
        }
    }

    /// The order to end.
    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// A connection has ended, and all that was its own is gone.
    pub(crate) fn ended(&self) {
        self.memory.let_go();
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// What ended it, if that was neither its client nor a shutdown.
    pub(crate) async fn serve(&self, stream: Stream, owner: Owner) -> Result<(), ConnectionError> {
        let handed_back = HandedBack::default();
        let served = self.carry_calls(stream, owner, handed_back.clone()).await;
        // By now HTTP/2 and all calls are gone.
        if let Some(excess) = handed_back.take() {
            excess.dismiss().await;
        }
        served
    }

    async fn carry_calls(
        &self,
        stream: Stream,
        owner: Owner,
        handed_back: HandedBack,
    ) -> Result<(), ConnectionError> {
        let calls = Calls::default();
        let preface = preface::expect(stream, calls.turns(), handed_back);
        let handshake = tokio::time::timeout(PREFACE_TIMEOUT, preface);
        let stream = tokio::select! {
            biased;
            () = self.shutdown.draining() => return Ok(()),
            stream = handshake => stream.map_err(|_| ConnectionError::Mute)??,
        };

        let companions = Companions::of(calls.clone());
        let routes = self.routes.clone();
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(owner);
            request.extensions_mut().insert(companions.clone());
            grpc::call(routes.clone(), request)
        });
        let connection = http2(calls.clone()).serve_connection(TokioIo::new(stream), service);
        let mut connection = Driver::new(connection, calls.clone());

        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            () = self.shutdown.draining() => connection.connection().graceful_shutdown(),
        }
        // The client has been told to leave (GOAWAY). It is waited for while it has calls; one that is mute or stopped has
        // none, and does not hold up the others.
        let farewell = async {
            calls.over().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            ended = &mut connection => Ok(ended?),
            () = farewell => Ok(()),
            () = self.shutdown.immediate() => Ok(()),
        }
    }
}

/// What ended a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// It did not send its preface in time.
    #[error("no HTTP/2 preface within {} s", PREFACE_TIMEOUT.as_secs())]
    Mute,
    /// It broke, or does not speak HTTP/2.
    #[error("no HTTP/2 preface: {0}")]
    Preface(#[from] std::io::Error),
    /// It broke, or broke the rules of HTTP/2.
    #[error("{0}")]
    Http2(#[from] hyper::Error),
}

fn http2(calls: Calls) -> http2::Builder<Calls> {
    let mut builder = http2::Builder::new(calls);
    builder
        .timer(TokioTimer::new())
        // Far above hyper's 200: every Accept or Recv that waits is a stream of its own.
        .max_concurrent_streams(65_536)
        // A client may cancel many waiting calls in one go; h2 takes more than 20 cancelled in one read for an attack.
        .max_pending_accept_reset_streams(1_024)
        // With hyper's equal windows one request that nobody reads fills the connection's window and stops all calls. Every
        // request here is read as it comes, and what is not taken by a socket is bounded by the credit of StreamService and not by
        // these windows: they need only be so large that a fast upload does not wait for a round trip.
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        // h2 holds a frame until it is whole, and a piece of it that is kept keeps the buffer of all: larger ones bring nothing more.
        .max_frame_size(256 * 1024)
        // gRPC's headers are some hundred bytes; the caller's metadata must fit too.
        .max_header_list_size(16 * 1024)
        // A client whose host is gone would otherwise keep its waiting calls for ever.
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        // No gRPC client reads it.
        .auto_date_header(false);
    builder
}
