//! The door of JournalService: watching operations.

use std::{pin::Pin, sync::Arc};

use farsock_proto::{
    Violation, time,
    v1::{
        self, WatchRequest, WatchResponse, journal_service_server as server,
        watch_response::Message,
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Request, Response, Status};

use super::{
    session::ApiSessions,
    status,
    unary::{check_instance, owner},
};
use crate::{
    engine::Engine,
    error::Error,
    flow::{Half, Side},
    journal::{MAX_PAYLOAD, News, Reader, Record, StreamEvent, What},
    session::Gone,
    table::Handle,
};

/// What a reader is told.
type Responses = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// JournalService over an engine.
#[derive(Debug)]
pub(crate) struct JournalDoor {
    engine: Arc<Engine>,
    sessions: Arc<ApiSessions>,
}

impl JournalDoor {
    pub(crate) fn new(engine: Arc<Engine>, sessions: Arc<ApiSessions>) -> Self {
        Self { engine, sessions }
    }
}

#[tonic::async_trait]
impl server::JournalService for JournalDoor {
    type WatchStream = Responses;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Responses>, Status> {
        check_instance(&self.engine, request.metadata())?;
        let owner = owner(request.extensions())?;
        let wanted =
            Wanted::new(request.into_inner()).map_err(|violation| status::invalid(&violation))?;
        let gone = match &*wanted.session_id {
            "" => None,
            // Not as a message of its client's, which would renew the lease.
            id => {
                let session = self.sessions.get(id, owner);
                Some(session.ok_or_else(status::no_session)?.gone())
            }
        };
        let reader = self
            .engine
            .journal
            .watch(owner, wanted.payload_bytes > 0)
            .map_err(|error| status::status(&error))?;
        let started = respond(Message::Started(v1::JournalStarted {}));
        let watching = Watching {
            reader,
            wanted,
            gone,
        };
        let news = stream::unfold(Some(watching), |watching| async {
            let mut watching = watching?;
            match watching.next().await? {
                Ok(message) => Some((Ok(respond(message)), Some(watching))),
                Err(error) => Some((Err(status::status(&error)), None)),
            }
        });
        Ok(Response::new(Box::pin(
            stream::iter([Ok(started)]).chain(news),
        )))
    }
}

/// A reader, and what it wants.
struct Watching {
    reader: Reader,
    wanted: Wanted,
    /// Tells when the session that it wants to know of is over.
    gone: Option<Gone>,
}

impl Watching {
    /// The next news that the reader wants; none when the daemon has ended its last operation.
    async fn next(&mut self) -> Option<Result<Message, Error>> {
        loop {
            // Other tasks of this thread have their turn, however much happens that the reader does not want.
            tokio::task::coop::consume_budget().await;
            let news = match &self.gone {
                Some(gone) => tokio::select! {
                    news = self.reader.next() => news?,
                    // Its last operations are told of first.
                    () = gone.wait() => match self.reader.try_next() {
                        Some(news) => news,
                        None => return Some(Err(Error::SessionExpired)),
                    },
                },
                None => self.reader.next().await?,
            };
            match news {
                News::Record(record) if self.wanted.includes(&record) => {
                    return Some(Ok(Message::Record(self.wanted.describe(&record))));
                }
                News::Record(_) => {}
                News::Missed(count) => return Some(Ok(Message::Missed(count))),
            }
        }
    }
}

/// Which records a reader wants, and how much of them.
#[derive(Debug)]
struct Wanted {
    handle: Option<Handle>,
    session_id: String,
    payload_bytes: usize,
}

impl Wanted {
    fn new(request: WatchRequest) -> Result<Self, Violation> {
        let payload_bytes = usize::try_from(request.payload_bytes)
            .ok()
            .filter(|bytes| *bytes <= MAX_PAYLOAD)
            .ok_or_else(|| {
                let description = format!("{} is over {MAX_PAYLOAD}", request.payload_bytes);
                Violation::new("payload_bytes", description)
            })?;
        Ok(Self {
            handle: request.handle.map(Handle),
            session_id: request.session_id,
            payload_bytes,
        })
    }

    fn includes(&self, record: &Record) -> bool {
        let session_id = record.session_id.as_deref().unwrap_or_default();
        self.handle.is_none_or(|handle| record.concerns(handle))
            && (self.session_id.is_empty() || self.session_id == session_id)
    }

    fn describe(&self, record: &Record) -> v1::JournalRecord {
        v1::JournalRecord {
            sequence: record.sequence,
            owner: record.owner.to_string(),
            session_id: record.session_id.clone().unwrap_or_default(),
            request_id: record.request_id,
            verb: record.verb.to_owned(),
            handle: record.handle.map(|handle| handle.0),
            call: record.call(self.payload_bytes),
            result: record.result.clone(),
            errno_name: record.errno_name.unwrap_or_default().to_owned(),
            bytes: record.bytes.map(|bytes| bytes as u64),
            start_time: Some(time::timestamp_to_wire(record.start)),
            waited: Some(time::duration_to_wire(record.waited)),
            duration: Some(time::duration_to_wire(record.duration)),
            payload: record.payload(self.payload_bytes),
            stream: record.stream.map(stream),
        }
    }
}

fn stream(event: StreamEvent) -> v1::JournalStream {
    use v1::journal_stream::Event;
    v1::JournalStream {
        opening: event.opening,
        event: Some(match event.what {
            What::Opened {
                resumed,
                took_over,
                send_offset,
                receive_offset,
            } => Event::Opened(v1::JournalStreamOpened {
                resumed,
                took_over,
                send_offset,
                receive_offset,
            }),
            What::Ended { sent, received } => Event::Ended(v1::JournalStreamEnded {
                sent: sent.map(direction),
                received: Some(direction(received)),
            }),
        }),
    }
}

fn direction(side: Side) -> v1::JournalDirection {
    let errno_name = match side.ended {
        Some(Half::Failed(name)) => name,
        Some(Half::Shut) | None => "",
    };
    v1::JournalDirection {
        bytes: side.bytes,
        items: side.items,
        failed: side.failed,
        left: side.left,
        ended: side.ended.is_some(),
        errno_name: errno_name.to_owned(),
    }
}

fn respond(message: Message) -> WatchResponse {
    WatchResponse {
        message: Some(message),
    }
}
