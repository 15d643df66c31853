//! What the tests share: channels to a daemon, a raw operation stream, and the requests on it.

use std::time::Duration;

use farsock_daemon::Embedded;
use farsock_proto::v1::{
    self, AcknowledgeResults, Attach, CancelOperation, OperateRequest, OperateResponse,
    OperationEnded, OperationError, StartOperation, create_socket_pair_request as pair,
    create_socket_request as create, operate_request::Message as Incoming,
    operate_response::Message as Outgoing, operation::Request, operation_result::Outcome,
    session_service_client::SessionServiceClient, socket_service_client::SocketServiceClient,
};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// How long anything may take before its test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of its own to a daemon in this process.
pub(crate) async fn channel(daemon: &Embedded) -> Channel {
    let connector = daemon.connector();
    let connector = tower::service_fn(move |_| {
        let opening = connector();
        async move { opening.await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .expect("it is served")
}

pub(crate) fn sessions(channel: &Channel) -> SessionServiceClient<Channel> {
    SessionServiceClient::new(channel.clone())
}

pub(crate) fn sockets(channel: &Channel) -> SocketServiceClient<Channel> {
    SocketServiceClient::new(channel.clone())
}

/// A session, opened over a channel.
pub(crate) async fn open(channel: &Channel) -> v1::OpenSessionResponse {
    open_with(channel, v1::OpenSessionRequest::default()).await
}

pub(crate) async fn open_with(
    channel: &Channel,
    request: v1::OpenSessionRequest,
) -> v1::OpenSessionResponse {
    let opened = sessions(channel).open_session(request).await;
    opened.expect("it opens").into_inner()
}

/// A lease, in seconds.
pub(crate) fn lease(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// A session's entry in the list; none once it is over.
pub(crate) async fn listed(channel: &Channel, id: &str) -> Option<v1::Session> {
    let request = v1::ListSessionsRequest::default();
    let list = sessions(channel).list_sessions(request).await;
    let list = list.expect("a list").into_inner();
    list.sessions.into_iter().find(|one| one.session_id == id)
}

/// Asks again and again until the session's entry is as wanted.
pub(crate) async fn until(
    channel: &Channel,
    id: &str,
    wanted: impl Fn(Option<&v1::Session>) -> bool,
) {
    let asking = async { while !wanted(listed(channel, id).await.as_ref()) {} };
    timeout(PATIENCE, asking).await.expect("it comes to that");
}

/// An attached operation stream, message by message.
pub(crate) struct Stream {
    pub(crate) known: Vec<u64>,
    requests: mpsc::UnboundedSender<OperateRequest>,
    responses: Streaming<OperateResponse>,
}

impl Stream {
    /// Attaches to a session.
    pub(crate) async fn attach(channel: &Channel, session_id: &str) -> Result<Self, Status> {
        Self::attach_again(channel, session_id, 0).await
    }

    /// Attaches to a session, as its client's attempt of that number.
    pub(crate) async fn attach_again(
        channel: &Channel,
        session_id: &str,
        attempt: u64,
    ) -> Result<Self, Status> {
        let attach = Incoming::Attach(Attach {
            session_id: session_id.to_owned(),
            attempt,
        });
        Self::begin(channel, Some(attach)).await
    }

    /// Begins a stream with any message, or with none and its end.
    pub(crate) async fn begin(channel: &Channel, first: Option<Incoming>) -> Result<Self, Status> {
        let (requests, mut receiver) = mpsc::unbounded_channel();
        if let Some(first) = first {
            let first = OperateRequest {
                message: Some(first),
            };
            requests.send(first).expect("the receiver is here");
        } else {
            receiver.close();
        }
        let messages = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|message| (message, receiver))
        });
        let mut responses = sessions(channel).operate(messages).await?.into_inner();
        let first = timeout(PATIENCE, responses.message()).await;
        match first.expect("an answer")?.and_then(|first| first.message) {
            Some(Outgoing::Attached(attached)) => Ok(Self {
                known: attached.request_ids,
                requests,
                responses,
            }),
            other => panic!("{other:?} is no Attached"),
        }
    }

    pub(crate) fn say(&self, message: Incoming) {
        let message = OperateRequest {
            message: Some(message),
        };
        // A stream that has ended is found out by reading.
        let _ = self.requests.send(message);
    }

    pub(crate) fn start(&self, id: u64, request: Request) {
        self.start_with(id, request, |_| {});
    }

    pub(crate) fn start_after(&self, id: u64, after: u64, request: Request) {
        self.start_with(id, request, |start| start.after = after);
    }

    pub(crate) fn start_notified(&self, id: u64, request: Request) {
        self.start_with(id, request, |start| start.notify_waiting = true);
    }

    pub(crate) fn start_with(
        &self,
        request_id: u64,
        request: Request,
        change: impl FnOnce(&mut StartOperation),
    ) {
        let mut start = StartOperation {
            request_id,
            operation: Some(v1::Operation {
                request: Some(request),
            }),
            ..Default::default()
        };
        change(&mut start);
        self.say(Incoming::Start(start));
    }

    pub(crate) fn cancel(&self, request_id: u64) {
        self.say(Incoming::Cancel(CancelOperation {
            request_id,
            give_back: false,
        }));
    }

    /// Cancels the operation, and asks for it to be undone if it has ended.
    pub(crate) fn give_back(&self, request_id: u64) {
        self.say(Incoming::Cancel(CancelOperation {
            request_id,
            give_back: true,
        }));
    }

    pub(crate) fn acknowledge(&self, request_ids: impl IntoIterator<Item = u64>) {
        let request_ids = request_ids.into_iter().collect();
        self.say(Incoming::Acknowledge(AcknowledgeResults { request_ids }));
    }

    /// The next message; none at the end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Outgoing>, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        Ok(next
            .expect("a message")?
            .map(|next| next.message.expect("something said")))
    }

    pub(crate) async fn next(&mut self) -> Outgoing {
        self.try_next()
            .await
            .expect("it is attached")
            .expect("more")
    }

    /// The next message, which must tell that an operation waits.
    pub(crate) async fn waiting(&mut self, id: u64) {
        match self.next().await {
            Outgoing::Waiting(waiting) if waiting.request_id == id => {}
            other => panic!("{other:?} instead of {id} waiting"),
        }
    }

    /// The next message, which must tell an operation's end.
    pub(crate) async fn ended(&mut self, id: u64) -> OperationEnded {
        match self.next().await {
            Outgoing::Ended(ended) if ended.request_id == id => ended,
            other => panic!("{other:?} instead of the end of {id}"),
        }
    }

    /// The next message, which must tell an operation's success.
    pub(crate) async fn succeeded(&mut self, id: u64) -> Outcome {
        match outcome(self.ended(id).await) {
            Outcome::Error(error) => panic!("{id} failed: {}", error.message),
            outcome => outcome,
        }
    }

    /// The next message, which must tell an operation's failure: its reason.
    pub(crate) async fn failed(&mut self, id: u64) -> String {
        match outcome(self.ended(id).await) {
            Outcome::Error(error) => reason(&error),
            outcome => panic!("{id} succeeded: {outcome:?}"),
        }
    }

    /// The next message, which must refuse one of the client's: its reason.
    pub(crate) async fn refused(&mut self, id: u64) -> String {
        match self.next().await {
            Outgoing::Refused(refused) if refused.request_id == id => {
                reason(&refused.error.expect("why"))
            }
            other => panic!("{other:?} instead of the refusal of {id}"),
        }
    }

    /// What is received next: its data.
    pub(crate) async fn received(&mut self, id: u64) -> Vec<u8> {
        data(self.succeeded(id).await)
    }

    /// Reads to the end: why the stream ended.
    pub(crate) async fn end_reason(&mut self) -> String {
        loop {
            match self.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a reason"),
                Err(status) => return status_reason(&status),
            }
        }
    }
}

pub(crate) fn outcome(ended: OperationEnded) -> Outcome {
    ended
        .result
        .and_then(|result| result.outcome)
        .expect("an outcome")
}

pub(crate) fn data(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Recv(v1::RecvResponse {
            payload: Some(v1::recv_response::Payload::Data(data)),
            ..
        }) => data.to_vec(),
        other => panic!("{other:?} is no data"),
    }
}

/// The reason in an error's details.
pub(crate) fn reason(error: &OperationError) -> String {
    error
        .details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"))
        .and_then(|any| tonic_types::pb::ErrorInfo::decode(any.value.as_slice()).ok())
        .expect("a reason")
        .reason
}

pub(crate) fn status_reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("{status:?} has no reason"))
        .reason
}

pub(crate) fn tcp_socket(new_handle: u64) -> Request {
    Request::CreateSocket(v1::CreateSocketRequest {
        domain_choice: Some(create::DomainChoice::Domain(v1::Domain::Inet.into())),
        type_choice: Some(create::TypeChoice::Type(v1::SocketType::Stream.into())),
        new_handle,
        ..Default::default()
    })
}

/// Two unix datagram sockets, connected with each other.
pub(crate) fn datagram_pair(new_first: u64, new_second: u64) -> Request {
    Request::CreateSocketPair(v1::CreateSocketPairRequest {
        domain_choice: Some(pair::DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(pair::TypeChoice::Type(v1::SocketType::Dgram.into())),
        new_first,
        new_second,
        ..Default::default()
    })
}

pub(crate) fn bind(handle: u64, address: &str) -> Request {
    let address = Some(v1::Address {
        form: Some(v1::address::Form::Text(address.to_owned())),
    });
    Request::Bind(v1::BindRequest { handle, address })
}

pub(crate) fn listen(handle: u64) -> Request {
    let backlog = None;
    Request::Listen(v1::ListenRequest { handle, backlog })
}

pub(crate) fn accept(handle: u64, new_handle: u64) -> Request {
    Request::Accept(v1::AcceptRequest {
        handle,
        new_handle,
        ..Default::default()
    })
}

pub(crate) fn send(handle: u64, data: &[u8]) -> Request {
    Request::Send(send_request(handle, data))
}

pub(crate) fn send_request(handle: u64, data: &[u8]) -> v1::SendRequest {
    v1::SendRequest {
        handle,
        payload: Some(v1::send_request::Payload::Data(data.to_vec().into())),
        ..Default::default()
    }
}

pub(crate) fn recv(handle: u64, length: i64) -> Request {
    Request::Recv(recv_request(handle, length))
}

pub(crate) fn recv_request(handle: u64, length: i64) -> v1::RecvRequest {
    v1::RecvRequest {
        handle,
        length: Some(length),
        ..Default::default()
    }
}

pub(crate) fn get_socket(handle: u64) -> Request {
    Request::GetSocket(v1::GetSocketRequest { handle })
}

pub(crate) fn close(handle: u64) -> Request {
    let abort = false;
    Request::Close(v1::CloseRequest { handle, abort })
}
