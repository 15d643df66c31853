//! A daemon whose streams of operations a test holds in its hands.

use std::{io, pin::Pin, sync::Arc};

use farsock_proto::v1::{
    self, OperateRequest, OperateResponse,
    operate_request::Message as Said,
    operate_response::Message as Saying,
    operation_result::Outcome,
    session_service_server::{SessionService, SessionServiceServer},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::{Stream, wrappers::UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

pub(crate) const SESSION: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const FIRST_HANDLE: u64 = 1 << 32;

/// What reached the fake.
#[derive(Debug)]
pub(crate) enum Event {
    /// A stream was attached.
    Attached(Box<Attachment>),
    /// A session was closed.
    Closed(String),
}

/// One attached stream.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Which of the client's attempts it is.
    pub(crate) attempt: u64,
    requests: Streaming<OperateRequest>,
    responses: mpsc::UnboundedSender<Result<OperateResponse, Status>>,
}

/// The fake.
#[derive(Debug)]
pub(crate) struct Fake {
    events: mpsc::UnboundedSender<Event>,
}

impl Fake {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, happened) = mpsc::unbounded_channel();
        (Arc::new(Self { events }), happened)
    }

    pub(crate) fn connector(
        self: &Arc<Self>,
    ) -> impl Fn() -> std::future::Ready<io::Result<DuplexStream>> + Send + 'static {
        let fake = Arc::clone(self);
        move || {
            let (near, far) = tokio::io::duplex(64 << 10);
            let service = SessionServiceServer::from_arc(Arc::clone(&fake));
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                let service = TowerToHyperService::new(service);
                let _ = builder.serve_connection(TokioIo::new(far), service).await;
            });
            std::future::ready(Ok(near))
        }
    }
}

/// The next attachment, whose first message must attach to the session.
pub(crate) async fn attached(events: &mut mpsc::UnboundedReceiver<Event>) -> Box<Attachment> {
    let Some(Event::Attached(mut attachment)) = events.recv().await else {
        panic!("a stream is attached");
    };
    let Said::Attach(attach) = attachment.hear().await else {
        panic!("the first message attaches");
    };
    assert_eq!(attach.session_id, SESSION);
    attachment.attempt = attach.attempt;
    attachment
}

impl Attachment {
    /// The client's next message.
    pub(crate) async fn hear(&mut self) -> Said {
        let request = self.requests.message().await.expect("no error");
        request
            .and_then(|request| request.message)
            .expect("a message")
    }

    /// The client's next message, which must start an operation: its id and its predecessor's.
    pub(crate) async fn hear_start(&mut self) -> (u64, u64) {
        match self.hear().await {
            Said::Start(start) => (start.request_id, start.after),
            said => panic!("{said:?}"),
        }
    }

    pub(crate) fn say(&self, message: Saying) {
        let message = Some(message);
        // The client may have left: the test sees that elsewhere.
        let _ = self.responses.send(Ok(OperateResponse { message }));
    }

    pub(crate) fn know(&self, ids: &[u64]) {
        self.say(Saying::Attached(v1::Attached {
            request_ids: ids.to_vec(),
        }));
    }

    pub(crate) fn end(&self, request_id: u64, outcome: Outcome) {
        self.say(Saying::Ended(v1::OperationEnded {
            request_id,
            result: Some(v1::OperationResult {
                outcome: Some(outcome),
            }),
            timing: None,
        }));
    }

    /// Ends the stream.
    pub(crate) fn fail(self, status: Status) {
        let _ = self.responses.send(Err(status));
    }
}

#[tonic::async_trait]
impl SessionService for Fake {
    type OperateStream = Pin<Box<dyn Stream<Item = Result<OperateResponse, Status>> + Send>>;

    async fn open_session(
        &self,
        _: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        Ok(Response::new(v1::OpenSessionResponse {
            session_id: SESSION.to_owned(),
            first_handle: FIRST_HANDLE,
            handle_count: 1 << 32,
            lease: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            max_in_flight: 64,
            max_results: 256,
            max_result_bytes: 1 << 20,
            instance_id: String::new(),
        }))
    }

    async fn renew_session(
        &self,
        _: Request<v1::RenewSessionRequest>,
    ) -> Result<Response<v1::RenewSessionResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let _ = self
            .events
            .send(Event::Closed(request.into_inner().session_id));
        Ok(Response::new(v1::CloseSessionResponse::default()))
    }

    async fn list_sessions(
        &self,
        _: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn operate(
        &self,
        request: Request<Streaming<OperateRequest>>,
    ) -> Result<Response<Self::OperateStream>, Status> {
        let (responses, outgoing) = mpsc::unbounded_channel();
        let _ = self.events.send(Event::Attached(Box::new(Attachment {
            attempt: 0,
            requests: request.into_inner(),
            responses,
        })));
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(
            outgoing,
        ))))
    }
}
