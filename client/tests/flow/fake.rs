//! A daemon whose streams of bytes a test holds in its hands.

use std::{io, pin::Pin, sync::Arc};

use bytes::Bytes;
use farsock_client::{Client, TcpStream};
use farsock_proto::v1::{
    self, StreamRequest, StreamResponse,
    stream_request::Message as Said,
    stream_response::Message as Saying,
    stream_service_server::{StreamService, StreamServiceServer},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::{Stream, wrappers::UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

pub(crate) const HANDLE: u64 = 5;

/// One opened stream.
#[derive(Debug)]
pub(crate) struct Opened {
    requests: Streaming<StreamRequest>,
    responses: mpsc::UnboundedSender<Result<StreamResponse, Status>>,
}

/// The fake.
#[derive(Debug)]
struct Fake {
    opened: mpsc::UnboundedSender<Opened>,
}

/// A connection of a fake daemon, and where its streams turn up.
pub(crate) async fn connection() -> (TcpStream, mpsc::UnboundedReceiver<Opened>) {
    let (opened, streams) = mpsc::unbounded_channel();
    let fake = Arc::new(Fake { opened });
    let connector = move || {
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = StreamServiceServer::from_arc(Arc::clone(&fake));
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
            let service = TowerToHyperService::new(service);
            let _ = builder.serve_connection(TokioIo::new(far), service).await;
        });
        std::future::ready(io::Result::<DuplexStream>::Ok(near))
    };
    let builder = Client::builder().unary(true).instance("a");
    let client = builder.connect_with(connector).await.expect("it is here");
    (TcpStream::from_socket(client.adopt(HANDLE)), streams)
}

impl Opened {
    /// What the client says next; none when it has said all.
    pub(crate) async fn hear(&mut self) -> Option<Said> {
        let request = self.requests.message().await.expect("no error");
        request.map(|request| request.message.expect("a message"))
    }

    /// The client's first message.
    pub(crate) async fn hear_open(&mut self) -> v1::OpenStream {
        match self.hear().await {
            Some(Said::Open(open)) => open,
            said => panic!("{said:?}"),
        }
    }

    /// The next bytes, of any number of messages.
    pub(crate) async fn hear_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.hear().await {
                Some(Said::Data(data)) => bytes.extend_from_slice(&data),
                Some(Said::Credit(_)) => {}
                said => panic!("{said:?}"),
            }
        }
        bytes
    }

    /// The next credit.
    pub(crate) async fn hear_credit(&mut self) -> v1::Credit {
        match self.hear().await {
            Some(Said::Credit(credit)) => credit,
            said => panic!("{said:?}"),
        }
    }

    /// Whether the client has broken the stream off, or ended it.
    pub(crate) async fn is_left(&mut self) -> bool {
        loop {
            match self.requests.message().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return true,
            }
        }
    }

    pub(crate) fn say(&self, message: Saying) {
        let message = Some(message);
        // The client may have left: the test sees that elsewhere.
        let _ = self.responses.send(Ok(StreamResponse { message }));
    }

    pub(crate) fn open(&self, send_offset: u64, send_limit: u64, receive_offset: u64) {
        self.say(Saying::Opened(v1::Opened {
            send_offset,
            send_limit,
            receive_offset,
        }));
    }

    pub(crate) fn send(&self, data: impl Into<Bytes>) {
        self.say(Saying::Data(data.into()));
    }

    pub(crate) fn credit(&self, received: u64, limit: u64, taken: u64) {
        self.say(Saying::Credit(v1::Credit {
            received,
            limit,
            taken,
            failures_heard: 0,
        }));
    }

    /// Ends the stream.
    pub(crate) fn fail(self, status: Status) {
        let _ = self.responses.send(Err(status));
    }
}

#[tonic::async_trait]
impl StreamService for Fake {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<StreamResponse, Status>> + Send>>;
    type DatagramsStream = tokio_stream::Empty<Result<v1::DatagramsResponse, Status>>;
    type AcceptManyStream = tokio_stream::Empty<Result<v1::AcceptManyResponse, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<StreamRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (responses, outgoing) = mpsc::unbounded_channel();
        let _ = self.opened.send(Opened {
            requests: request.into_inner(),
            responses,
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(
            outgoing,
        ))))
    }

    async fn datagrams(
        &self,
        _: Request<Streaming<v1::DatagramsRequest>>,
    ) -> Result<Response<Self::DatagramsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn accept_many(
        &self,
        _: Request<Streaming<v1::AcceptManyRequest>>,
    ) -> Result<Response<Self::AcceptManyStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
