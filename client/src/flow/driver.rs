//! The task of a flow: opens it, always reads, acknowledges, and comes back when the connection breaks.

use std::{
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use farsock_proto::reason::INSTANCE_METADATA;
use http_body::Body as _;
use prost::Message as _;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{
        self,
        header::{self, HeaderValue},
    },
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tower::ServiceExt as _;

use super::{
    Flow, Kind, Said,
    body::RequestBody,
    nonsense, tried,
    wire::{Parser, Piece},
};
use crate::{
    Client, Error,
    client::Transport,
    stream::{self, Backoff},
};

/// How long something that arrived may stay unacknowledged where no credit is due: the daemon keeps it until then.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(20);
/// How long the daemon may take to end its side of a stream that has ended.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long a client without a session tries to come back.
const WITHOUT_SESSION: Duration = Duration::from_secs(30);
/// Far enough to be never, and near enough for the timer.
const NEVER: Duration = Duration::from_secs(86_400);

/// The way to the daemon.
pub(super) struct Way {
    transport: Transport,
    instance: Option<MetadataValue<Ascii>>,
    /// How long it is worth trying.
    lease: Duration,
}

impl Way {
    pub(super) fn of(client: &Client) -> Self {
        Self {
            transport: client.transport().clone(),
            instance: client.instance().cloned(),
            lease: client
                .stream()
                .map_or(WITHOUT_SESSION, stream::Stream::lease),
        }
    }

    /// The instance that the handle belongs to: a daemon that was restarted counts its handles anew.
    async fn instance(&self) -> Result<MetadataValue<Ascii>, Error> {
        if let Some(instance) = &self.instance {
            return Ok(instance.clone());
        }
        let found = self.transport.found.get_or_try_init(|| async {
            let client = Client::new(self.transport.clone(), None, None);
            let id = client.instance_id().await?;
            id.parse().map_err(|_| {
                let violation = farsock_proto::Violation::new("instance_id", "is no metadata");
                Error::invalid_request(violation)
            })
        });
        found.await.cloned()
    }
}

/// Why a connection is no longer used.
enum End {
    /// Nothing is left to say.
    Complete,
    /// The connection broke: it is worth another attempt.
    Broken { opened: bool },
    /// There is no such flow any more.
    Over(Error),
}

/// Ends when both directions have, when the user has let go and all is taken, or when there is no way back.
/// Begins after `settled`, when the socket has again what calls took that were dropped: that is on the way on another connection.
pub(super) async fn drive<K: Kind>(
    flow: Arc<Flow<K>>,
    way: Way,
    settled: Option<impl Future<Output = ()>>,
) {
    // However this task ends, nobody waits for it any more.
    let _end = DriverEnd(Arc::clone(&flow));
    if let Some(settled) = settled {
        settled.await;
    }
    if let Err(why) = stay_open(&flow, &way).await {
        flow.give_up(why);
    }
}

struct DriverEnd<K: Kind>(Arc<Flow<K>>);

impl<K: Kind> Drop for DriverEnd<K> {
    fn drop(&mut self) {
        let why = stream::expired("the client's runtime has ended");
        // Closes the socket, if it was left to the driver.
        drop(self.0.driver_ended(why));
    }
}

async fn stay_open<K: Kind>(flow: &Arc<Flow<K>>, way: &Way) -> Result<(), Error> {
    // Random keys are random enough, and need no crate. 0 would be none.
    let stream_id = RandomState::new().hash_one(flow.handle).max(1);
    let mut backoff = Backoff::new();
    let mut lost = Instant::now();
    loop {
        let over = lost + way.lease;
        let end = connect(flow, way, stream_id, over).await;
        flow.disconnect();
        match end {
            End::Over(why) => return Err(why),
            End::Complete if flow.must_return() => lost = Instant::now(),
            End::Complete => return Ok(()),
            End::Broken { opened: true } => {
                lost = Instant::now();
                backoff.reset();
            }
            End::Broken { opened: false } => {}
        }
        let wait = backoff.wait();
        if Instant::now() + wait >= lost + way.lease {
            return Err(Error::from_status(
                tried::<K>(flow.handle),
                &stream::expired(
                    "the daemon could not be reached until the session's lease was over",
                ),
            ));
        }
        sleep(wait).await;
    }
}

/// Opens the flow on a connection, and serves it until that ends.
async fn connect<K: Kind>(flow: &Arc<Flow<K>>, way: &Way, stream_id: u64, over: Instant) -> End {
    let opening = async {
        let instance = way.instance().await?;
        let mut incoming = open(flow, way, instance, stream_id).await?;
        while !incoming.take(flow).await?.opened {}
        Ok::<_, Error>(incoming)
    };
    let by = over.min(Instant::now() + way.transport.connect_timeout);
    let mut incoming = match timeout_at(by, opening).await {
        Ok(Ok(incoming)) => incoming,
        Ok(Err(error)) if error.is_broken() => return End::Broken { opened: false },
        Ok(Err(error)) => return End::Over(error),
        Err(_) => return End::Broken { opened: false },
    };
    match serve(flow, &mut incoming, way.lease).await {
        Ok(()) => End::Complete,
        Err(error) if error.is_broken() => End::Broken { opened: true },
        Err(error) => End::Over(error),
    }
}

/// Sends the request, and waits for the head of the response.
async fn open<K: Kind>(
    flow: &Arc<Flow<K>>,
    way: &Way,
    instance: MetadataValue<Ascii>,
    stream_id: u64,
) -> Result<Incoming, Error> {
    let failed = |status: Status| Error::from_status(tried::<K>(flow.handle), &status);
    let body = RequestBody::new(Arc::clone(flow), flow.connect(), stream_id);
    let mut request = http::Request::new(Body::new(body));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = http::Uri::from_static(K::PATH);
    let mut headers = MetadataMap::new();
    headers.insert(INSTANCE_METADATA, instance);
    *request.headers_mut() = headers.into_headers();
    let grpc = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(header::CONTENT_TYPE, grpc);
    let trailers = HeaderValue::from_static("trailers");
    request.headers_mut().insert(header::TE, trailers);

    let response = way
        .transport
        .bulk
        .clone()
        .oneshot(request)
        .await
        .map_err(|error| failed(Status::from_error(error.into())))?;
    let (head, body) = response.into_parts();
    match Status::from_header_map(&head.headers) {
        Some(status) => Err(failed(status)),
        None if head.status != http::StatusCode::OK => {
            let what = format!("the answer has HTTP status {}", head.status);
            Err(failed(Status::unknown(what)))
        }
        None => Ok(Incoming {
            body,
            parser: Parser::new(K::PAYLOADS, K::LONGEST),
        }),
    }
}

/// Reads until the stream ends; well, if it was to end.
async fn serve<K: Kind>(
    flow: &Flow<K>,
    incoming: &mut Incoming,
    lease: Duration,
) -> Result<(), Error> {
    let never = || Instant::now() + NEVER;
    let mut acknowledging = pin!(sleep_until(never()));
    let mut is_acknowledging = false;
    // How far the socket was when the user had let go, or when it was last looked at.
    let mut lingering = flow.lingering();
    let mut giving_up = pin!(sleep_until(Instant::now() + lease));
    let mut ending = flow.end_if_complete();
    loop {
        tokio::select! {
            biased;
            heard = incoming.take(flow) => match heard {
                Ok(heard) => {
                    if heard.items && !is_acknowledging {
                        is_acknowledging = true;
                        acknowledging.as_mut().reset(Instant::now() + ACKNOWLEDGE_WITHIN);
                    }
                    if heard.progress && !ending {
                        ending = flow.end_if_complete();
                        giving_up.as_mut().reset(Instant::now() + if ending { END_WITHIN } else { lease });
                    }
                }
                Err(_) if ending => return Ok(()),
                Err(error) => return Err(error),
            },
            () = &mut acknowledging, if is_acknowledging => {
                is_acknowledging = false;
                flow.acknowledge();
            }
            () = flow.let_go.notified(), if !ending => {
                lingering = flow.lingering();
                ending = flow.end_if_complete();
                giving_up.as_mut().reset(Instant::now() + if ending { END_WITHIN } else { lease });
            }
            () = &mut giving_up, if ending || lingering.is_some() => {
                if ending || flow.lingering() == lingering {
                    return Ok(());
                }
                lingering = flow.lingering();
                giving_up.as_mut().reset(Instant::now() + lease);
            }
        }
    }
}

/// What comes.
struct Incoming {
    body: Body,
    parser: Parser,
}

/// What has come.
#[derive(Default)]
struct Heard {
    /// The first message.
    opened: bool,
    /// Something that must be acknowledged.
    items: bool,
    /// Something by which the flow may be complete.
    progress: bool,
}

impl Incoming {
    /// Waits for a frame, and passes on what is in it.
    async fn take<K: Kind>(&mut self, flow: &Flow<K>) -> Result<Heard, Error> {
        let failed = |status: Status| Error::from_status(tried::<K>(flow.handle), &status);
        let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(status)) => return Err(failed(status)),
            None => return Err(failed(Status::unknown("the stream broke off"))),
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return Err(failed(match Status::from_header_map(&trailers) {
                    Some(status) if status.code() != Code::Ok => status,
                    _ => Status::unknown("the daemon ended the stream"),
                }));
            }
        };
        let mut heard = Heard::default();
        self.parser.push(data);
        while let Some(piece) = self.parser.next().map_err(failed)? {
            let said = match piece {
                Piece::Payload(data) => match K::payload(data) {
                    Some((item, cost)) => Said::Item(item, cost),
                    None => continue,
                },
                Piece::Message(message) => {
                    let response = K::Response::decode(message)
                        .map_err(|error| failed(Status::internal(error.to_string())))?;
                    flow.kind
                        .said(response)
                        .map_err(|violation| nonsense::<K>(flow.handle, violation))?
                }
            };
            match &said {
                Said::Item(..) => heard.items = true,
                Said::Unknown => {}
                _ => heard.progress = true,
            }
            heard.opened |= flow.hear(said)?;
        }
        Ok(heard)
    }
}
