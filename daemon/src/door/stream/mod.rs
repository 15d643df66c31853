//! StreamService: bulk data, plain gRPC on the wire, written by hand so that bytes are not copied.
//!
//! Generated code copies each message twice: into the buffer of a frame, and out of it. Here bytes go to the socket in the pieces in
//! which they arrive, and a chunk received from the socket is sent with its header written right before it.

mod accept_many;
mod bytes;
mod datagrams;
mod frames;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod messages;
mod reply;
mod request;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use farsock_proto::{Violation, v1};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use tonic::{Status, body::Body, metadata::MetadataMap, server::NamedService};
use tower::Service;

use self::{frames::Frames, request::Requests};
use super::{status, unary};
use crate::{
    engine::{Engine, Owner},
    flow::{Opened, Opening},
    listener::calls::Companions,
    operation,
    table::Handle,
};

/// The largest window that a client may open Stream or Datagrams with.
const MAX_WINDOW: u64 = 16 << 20;

/// StreamService over an engine.
#[derive(Clone, Debug)]
pub(crate) struct StreamDoor {
    engine: Arc<Engine>,
}

impl StreamDoor {
    /// StreamService over `engine`.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    async fn call(self, request: Request<Body>) -> Result<Body, Status> {
        let (parts, body) = request.into_parts();
        let method = parts.uri.path().strip_prefix("/farsock.v1.StreamService/");
        uncompressed(&parts.headers)?;
        unary::check_instance(&self.engine, &MetadataMap::from_headers(parts.headers))?;
        let caller = Caller {
            owner: unary::owner(&parts.extensions)?,
            companions: unary::companions(&parts.extensions)?,
            engine: self.engine,
        };
        let frames = match method {
            Some("Stream") => Frames::of_bytes(),
            _ => Frames::of_messages(),
        };
        let requests = Requests::new(body, frames);
        match method {
            Some("Stream") => bytes::open(caller, requests).await,
            Some("Datagrams") => datagrams::open(caller, requests).await,
            Some("AcceptMany") => accept_many::open(caller, requests).await,
            _ => Err(Status::unimplemented("")),
        }
    }
}

impl NamedService for StreamDoor {
    const NAME: &'static str = "farsock.v1.StreamService";
}

impl Service<Request<Body>> for StreamDoor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.clone().call(request);
        Box::pin(async move {
            Ok(match call.await {
                Ok(body) => {
                    let mut response = Response::new(body);
                    let grpc = HeaderValue::from_static("application/grpc");
                    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
                    response
                }
                Err(status) => status.into_http(),
            })
        })
    }
}

/// Whose call it is.
struct Caller {
    engine: Arc<Engine>,
    owner: Owner,
    /// Where the client's side of the call is read.
    companions: Companions,
}

impl Caller {
    /// Who acts on the stream of that handle: the socket's session, to which belong the sockets that come by it.
    fn context(&self, handle: Handle) -> operation::Context {
        let socket = self.engine.table.get(handle, self.owner);
        operation::Context {
            engine: Arc::clone(&self.engine),
            owner: self.owner,
            session: socket.ok().and_then(|socket| socket.session().cloned()),
            request_id: None,
            watch: None,
        }
    }
}

/// Refuses a client that compresses.
fn uncompressed(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(()),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding);
            let message = format!("Content is compressed with `{encoding}` which isn't supported");
            let mut status = Status::unimplemented(message);
            let accepted = "identity".parse().expect("a word is a header's value");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", accepted);
            Err(status)
        }
    }
}

/// What a client opens a stream with.
fn opening(
    stream_id: u64,
    attempt: u64,
    received: Option<u64>,
    window: u64,
    most: u64,
) -> Result<Opening, Status> {
    if window > most {
        let description = format!("{window} is over {most}");
        return Err(status::invalid(&Violation::new("open.window", description)));
    }
    Ok(Opening {
        stream_id,
        attempt,
        received,
        window,
    })
}

/// Where a stream goes on.
fn opened(opened: Opened) -> v1::Opened {
    v1::Opened {
        send_offset: opened.send_offset,
        send_limit: opened.send_limit,
        receive_offset: opened.receive_offset,
    }
}
