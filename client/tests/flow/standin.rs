//! A plain StreamService of another make, over the calls of an embedded daemon: streams of bytes and of connections.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use farsock_client::{Client, Error, ErrorKind, RemoteSocket};
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
use tokio::{
    io::DuplexStream,
    sync::{Notify, mpsc},
};
use tokio_stream::{Stream, wrappers::UnboundedReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::http,
    transport::{Channel, Endpoint},
};
use tower::ServiceExt as _;

const WINDOW: u64 = 1 << 20;

#[derive(Clone)]
pub(crate) struct Standin {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    flows: Mutex<HashMap<u64, Arc<Flow>>>,
    accepts: Mutex<HashMap<u64, Arc<Accepts>>>,
    channel: Channel,
    _daemon: farsock_daemon::Embedded,
}

#[derive(Default)]
struct State {
    stream_id: u64,
    generation: u64,
    // From the socket.
    got: BytesMut,
    got_base: u64,
    limit: u64,
    got_end: Option<Option<v1::OperationError>>,
    // To the socket.
    give: BytesMut,
    accepted: u64,
    taken: u64,
    finish: bool,
    give_end: Option<Option<v1::OperationError>>,
}

struct Flow {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct AcceptsState {
    generation: u64,
    stream_id: u64,
    items: Vec<v1::AcceptedConnection>,
    base: u64,
    limit: u64,
    attached: bool,
}

#[derive(Default)]
struct Accepts {
    state: Mutex<AcceptsState>,
    changed: Notify,
}

impl Standin {
    pub(crate) async fn new() -> Self {
        let daemon = farsock_daemon::embedded();
        let connector = daemon.connector();
        let client = Client::builder()
            .unary(true)
            .connect_with(daemon.connector())
            .await
            .unwrap();
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(
            tower::service_fn(move |_| {
                let connecting = connector();
                async move { connecting.await.map(TokioIo::new) }
            }),
        );
        Self {
            inner: Arc::new(Inner {
                client,
                flows: Mutex::default(),
                accepts: Mutex::default(),
                channel,
                _daemon: daemon,
            }),
        }
    }

    pub(crate) fn connector(
        &self,
    ) -> impl Fn() -> std::future::Ready<io::Result<DuplexStream>> + Send + Sync + 'static {
        let this = self.clone();
        move || {
            let (near, far) = tokio::io::duplex(1 << 20);
            let this = this.clone();
            tokio::spawn(async move {
                let streams = StreamServiceServer::new(this.clone());
                let channel = this.inner.channel.clone();
                let service =
                    tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let (streams, channel) = (streams.clone(), channel.clone());
                        async move {
                            if request.uri().path().contains("StreamService") {
                                return Ok(streams.oneshot(request).await.unwrap());
                            }
                            channel.oneshot(request.map(Body::new)).await
                        }
                    });
                let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                builder
                    .http2()
                    .initial_stream_window_size(2 << 20)
                    .initial_connection_window_size(32 << 20)
                    .max_frame_size(1 << 20);
                let _ = builder
                    .serve_connection(TokioIo::new(far), TowerToHyperService::new(service))
                    .await;
            });
            std::future::ready(Ok(near))
        }
    }

    fn flow(&self, handle: u64) -> Arc<Flow> {
        let mut flows = self.inner.flows.lock().unwrap();
        Arc::clone(flows.entry(handle).or_insert_with(|| {
            let flow = Arc::new(Flow {
                state: Mutex::default(),
                changed: Notify::new(),
            });
            tokio::spawn(receive(Arc::clone(&flow), self.inner.client.adopt(handle)));
            tokio::spawn(give(Arc::clone(&flow), self.inner.client.adopt(handle)));
            flow
        }))
    }
}

async fn receive(flow: Arc<Flow>, socket: RemoteSocket) {
    loop {
        let changed = flow.changed.notified();
        let room = {
            let state = flow.state.lock().unwrap();
            (state.limit).saturating_sub(state.got_base + state.got.len() as u64)
        };
        if room == 0 {
            changed.await;
            continue;
        }
        let end = match socket.recv(room.min(65_536) as usize).await {
            Ok(received) if !received.end_of_stream => {
                flow.state
                    .lock()
                    .unwrap()
                    .got
                    .extend_from_slice(&received.data);
                flow.changed.notify_waiters();
                continue;
            }
            Ok(_) => None,
            Err(error) => Some(wire_error(&error)),
        };
        flow.state.lock().unwrap().got_end = Some(end);
        flow.changed.notify_waiters();
        return;
    }
}

async fn give(flow: Arc<Flow>, socket: RemoteSocket) {
    loop {
        let changed = flow.changed.notified();
        let (data, finish) = {
            let mut state = flow.state.lock().unwrap();
            let part = state.give.len().min(65_536);
            (state.give.split_to(part).freeze(), state.finish)
        };
        if data.is_empty() && !finish {
            changed.await;
            continue;
        }
        let done = if data.is_empty() {
            Some(
                socket
                    .shutdown(std::net::Shutdown::Write)
                    .await
                    .err()
                    .as_ref()
                    .map(wire_error),
            )
        } else {
            let length = data.len() as u64;
            match socket.send(data).await {
                Ok(_) => {
                    flow.state.lock().unwrap().taken += length;
                    None
                }
                Err(error) => Some(Some(wire_error(&error))),
            }
        };
        let over = done.is_some();
        if over {
            flow.state.lock().unwrap().give_end = done;
        }
        flow.changed.notify_waiters();
        if over {
            return;
        }
    }
}

fn wire_error(error: &Error) -> v1::OperationError {
    use tonic_types::{ErrorDetails, StatusExt};

    let details = match error.kind() {
        ErrorKind::Kernel {
            errno,
            name,
            syscall,
            handle,
        } => {
            let metadata = [
                ("errno".to_owned(), errno.to_string()),
                ("syscall".to_owned(), syscall.clone()),
                ("handle".to_owned(), handle.unwrap_or(0).to_string()),
            ];
            ErrorDetails::with_error_info(name.clone(), "errno.farsock", metadata)
        }
        ErrorKind::Daemon { reason } => {
            ErrorDetails::with_error_info(reason.as_str(), "farsock", HashMap::new())
        }
        _ => ErrorDetails::new(),
    };
    let status = Status::with_error_details(error.code(), error.to_string(), details);
    let wire = <tonic_types::pb::Status as prost::Message>::decode(status.details()).unwrap();
    v1::OperationError {
        code: error.code().into(),
        message: error.to_string(),
        details: wire.details,
    }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl StreamService for Standin {
    type StreamStream = Responses<StreamResponse>;
    type DatagramsStream = Responses<v1::DatagramsResponse>;
    type AcceptManyStream = Responses<v1::AcceptManyResponse>;

    async fn stream(
        &self,
        request: Request<Streaming<StreamRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let mut requests = request.into_inner();
        let (responses, outgoing) = mpsc::unbounded_channel();
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(Some(StreamRequest {
                message: Some(Said::Open(open)),
            })) = requests.message().await
            else {
                let _ = responses.send(Err(Status::cancelled("")));
                return;
            };
            let flow = this.flow(open.handle);
            let (generation, mut cursor);
            {
                let mut state = flow.state.lock().unwrap();
                if state.stream_id != 0
                    && state.stream_id != open.stream_id
                    && state.generation != 0
                {
                    let _ = responses.send(Err(Status::failed_precondition("in use")));
                    return;
                }
                state.stream_id = open.stream_id;
                state.generation += 1;
                generation = state.generation;
                let received = open.received.unwrap_or(state.got_base);
                let gone = received - state.got_base;
                let _ = state.got.split_to(gone as usize);
                state.got_base = received;
                state.limit = state.limit.max(received + open.window);
                cursor = received;
                say(
                    &responses,
                    Saying::Opened(v1::Opened {
                        send_offset: state.accepted,
                        send_limit: state.taken + WINDOW,
                        receive_offset: received,
                    }),
                );
            }
            flow.changed.notify_waiters();
            let (mut told_taken, mut told_accepted, mut told_got, mut told_give) =
                (u64::MAX, 0, false, false);
            loop {
                let changed = flow.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let state = flow.state.lock().unwrap();
                    if state.generation != generation {
                        let _ = responses.send(Err(Status::aborted("taken")));
                        return;
                    }
                    let start = (cursor - state.got_base) as usize;
                    let end = state.got.len().min((state.limit - state.got_base) as usize);
                    if start < end {
                        let data = Bytes::copy_from_slice(&state.got[start..end]);
                        cursor += data.len() as u64;
                        say(&responses, Saying::Data(data));
                    }
                    if let Some(error) = &state.got_end
                        && cursor == state.got_base + state.got.len() as u64
                        && !told_got
                    {
                        told_got = true;
                        say(
                            &responses,
                            Saying::ReceivingEnded(v1::ReceivingEnded {
                                offset: cursor,
                                error: error.clone(),
                            }),
                        );
                    }
                    if let Some(error) = &state.give_end
                        && !told_give
                    {
                        told_give = true;
                        say(
                            &responses,
                            Saying::SendingEnded(v1::SendingEnded {
                                offset: state.taken,
                                error: error.clone(),
                            }),
                        );
                    }
                    let idle = state.give.is_empty();
                    if told_taken == u64::MAX
                        || state.taken - told_taken >= WINDOW / 4
                        || idle && (state.taken != told_taken || state.accepted != told_accepted)
                    {
                        told_taken = state.taken;
                        told_accepted = state.accepted;
                        say(
                            &responses,
                            Saying::Credit(v1::Credit {
                                received: state.accepted,
                                limit: state.taken + WINDOW,
                                taken: state.taken,
                                failures_heard: 0,
                            }),
                        );
                    }
                }
                tokio::select! {
                    () = changed => {}
                    () = responses.closed() => return,
                    said = requests.message() => {
                        let Ok(said) = said else { return };
                        let Some(said) = said else {
                            let mut state = flow.state.lock().unwrap();
                            if state.got.is_empty() {
                                state.stream_id = 0;
                            }
                            return;
                        };
                        let mut state = flow.state.lock().unwrap();
                        if state.generation != generation {
                            continue;
                        }
                        match said.message {
                            Some(Said::Data(data)) => {
                                state.accepted += data.len() as u64;
                                assert!(state.accepted <= state.taken + WINDOW + WINDOW, "beyond the credit");
                                state.give.extend_from_slice(&data);
                            }
                            Some(Said::Credit(credit)) => {
                                if credit.received > state.got_base {
                                    let gone = credit.received - state.got_base;
                                    let _ = state.got.split_to(gone as usize);
                                    state.got_base = credit.received;
                                }
                                state.limit = state.limit.max(credit.limit);
                            }
                            Some(Said::Finish(finish)) => {
                                assert_eq!(finish.offset, state.accepted);
                                state.finish = true;
                            }
                            _ => {}
                        }
                        drop(state);
                        flow.changed.notify_waiters();
                    }
                }
            }
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
        request: Request<Streaming<v1::AcceptManyRequest>>,
    ) -> Result<Response<Self::AcceptManyStream>, Status> {
        use v1::{accept_many_request::Message as Said, accept_many_response::Message as Saying};
        let mut requests = request.into_inner();
        let (responses, outgoing) = mpsc::unbounded_channel();
        let this = self.clone();
        let say =
            move |responses: &mpsc::UnboundedSender<Result<v1::AcceptManyResponse, Status>>,
                  message| {
                let _ = responses.send(Ok(v1::AcceptManyResponse {
                    message: Some(message),
                }));
            };
        tokio::spawn(async move {
            let Ok(Some(v1::AcceptManyRequest {
                message: Some(Said::Open(open)),
            })) = requests.message().await
            else {
                return;
            };
            let socket = this.inner.client.adopt(open.handle);
            let flow = Arc::clone(
                this.inner
                    .accepts
                    .lock()
                    .unwrap()
                    .entry(open.handle)
                    .or_default(),
            );
            let generation;
            let mut cursor;
            {
                let mut state = flow.state.lock().unwrap();
                state.generation += 1;
                generation = state.generation;
                state.attached = true;
                state.stream_id = open.stream_id;
                let received = open.received.unwrap_or(state.base);
                let gone = (received - state.base) as usize;
                state.items.drain(..gone);
                state.base = received;
                state.limit = state.limit.max(received + open.window);
                cursor = received;
                say(
                    &responses,
                    Saying::Opened(v1::Opened {
                        receive_offset: received,
                        ..v1::Opened::default()
                    }),
                );
            }
            loop {
                let room = {
                    let state = flow.state.lock().unwrap();
                    if state.generation != generation {
                        return;
                    }
                    let new = state.items[(cursor - state.base) as usize..].to_vec();
                    if !new.is_empty() {
                        cursor += new.len() as u64;
                        say(
                            &responses,
                            Saying::Accepted(v1::AcceptedConnections {
                                connections: new,
                                error: None,
                            }),
                        );
                    }
                    state.limit > state.base + state.items.len() as u64
                };
                tokio::select! {
                    accepted = socket.accept(), if room => {
                        let (accepted, peer) = match accepted {
                            Ok(accepted) => accepted,
                            Err(error) => {
                                let _ = responses.send(Err(Status::aborted(error.to_string())));
                                return;
                            }
                        };
                        let handle = accepted.into_handle();
                        flow.state.lock().unwrap().items.push(v1::AcceptedConnection { handle, peer_address: Some(peer.into()) });
                    }
                    () = flow.changed.notified() => {}
                    () = responses.closed() => return,
                    said = requests.message() => match said {
                        Ok(Some(v1::AcceptManyRequest { message: Some(Said::Credit(credit)) })) => {
                            let mut state = flow.state.lock().unwrap();
                            let gone = credit.received.saturating_sub(state.base);
                            state.items.drain(..gone as usize);
                            state.base += gone;
                            state.limit = state.limit.max(credit.limit);
                        }
                        _ => return,
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(
            outgoing,
        ))))
    }
}

fn say(responses: &mpsc::UnboundedSender<Result<StreamResponse, Status>>, message: Saying) {
    let _ = responses.send(Ok(StreamResponse {
        message: Some(message),
    }));
}
