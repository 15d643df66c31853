//! A daemon that answers as a test tells it to, over an in-memory pipe: for what a real daemon
//! never does.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Buf, BufMut, Bytes};
use farsock_proto::v1;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    sync::{mpsc, watch},
};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http,
    metadata::MetadataMap,
    server::Grpc,
};

/// The instance id that the fake tells.
pub(crate) const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

/// A call as it reached the fake.
#[derive(Debug)]
pub(crate) struct Call {
    /// The RPC, such as "Bind".
    pub(crate) method: String,
    pub(crate) metadata: MetadataMap,
    body: Bytes,
}

impl Call {
    pub(crate) fn request<M: Message + Default>(&self) -> M {
        M::decode(self.body.clone()).expect("the request of that RPC")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;
type Handler = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

/// An answer that is there already.
pub(crate) fn answer(message: impl Message) -> Answer {
    let bytes = Bytes::from(message.encode_to_vec());
    Box::pin(std::future::ready(Ok(bytes)))
}

/// An error that is there already.
pub(crate) fn error(status: Status) -> Answer {
    Box::pin(std::future::ready(Err(status)))
}

/// An answer that never comes.
pub(crate) fn silence() -> Answer {
    Box::pin(std::future::pending())
}

pub(crate) struct Fake {
    handler: Handler,
    calls: mpsc::UnboundedSender<Call>,
    connections: AtomicUsize,
    /// Each change ends all connections.
    cut: watch::Sender<()>,
}

impl Fake {
    /// A fake that answers as `handler` says, and GetHost by itself; and the calls that it was
    /// asked, without GetHost.
    pub(crate) fn new(
        handler: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Call>) {
        let (calls, asked) = mpsc::unbounded_channel();
        let fake = Self {
            handler: Arc::new(handler),
            calls,
            connections: AtomicUsize::new(0),
            cut: watch::Sender::new(()),
        };
        (Arc::new(fake), asked)
    }

    /// How often it was connected to.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends all connections, as the death of a daemon does.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    pub(crate) fn connector(
        self: &Arc<Self>,
    ) -> impl Fn() -> std::future::Ready<io::Result<DuplexStream>> + Send + 'static {
        let fake = Arc::clone(self);
        move || {
            let (near, far) = tokio::io::duplex(64 << 10);
            fake.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(Arc::clone(&fake).serve(far));
            std::future::ready(Ok(near))
        }
    }

    /// Answers on one connection until it ends, or is cut.
    pub(crate) async fn serve<IO>(self: Arc<Self>, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut cut = self.cut.subscribe();
        let service = tower::service_fn(move |request| {
            let fake = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(fake.handle(request).await) }
        });
        let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
        let connection =
            builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
        tokio::select! {
            _ = connection => {}
            _ = cut.changed() => {}
        }
    }

    async fn handle<B>(self: Arc<Self>, request: http::Request<B>) -> http::Response<Body>
    where
        B: tonic::codegen::Body + Send + 'static,
        B::Error: Into<tonic::codegen::StdError> + Send,
    {
        let method = request.uri().path().rsplit('/').next().map(str::to_owned);
        let method = method.unwrap_or_default();
        let service = tower::service_fn(move |request: Request<Bytes>| {
            let fake = Arc::clone(&self);
            let (metadata, _, body) = request.into_parts();
            let call = Call {
                method: method.clone(),
                metadata,
                body,
            };
            async move { fake.answer(call).await.map(Response::new) }
        });
        Grpc::new(Raw).unary(service, request).await
    }

    async fn answer(&self, call: Call) -> Result<Bytes, Status> {
        if call.method == "GetHost" {
            let host = v1::GetHostResponse {
                instance_id: INSTANCE.to_owned(),
                ..Default::default()
            };
            return Ok(host.encode_to_vec().into());
        }
        let answer = (self.handler)(&call);
        // A test that does not look at the calls has dropped the other end.
        let _ = self.calls.send(call);
        answer.await
    }
}

/// Messages as the bytes they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
