//! The stream of operations.
//!
//! Tasks: none; the client's messages are read by a companion of the call, in the connection's task. The response stream owns it and ends
//! it when it is dropped. That is safe: an operation is started whole between two awaits, and belongs to the session from then on.

use std::{
    hash::BuildHasher,
    pin::Pin,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use farsock_proto::{
    Violation,
    reason::Reason,
    time,
    v1::{
        self, OperateRequest, OperateResponse, operate_request::Message as Incoming,
        operate_response::Message as Outgoing,
    },
};
use foldhash::quality::RandomState;
use futures_util::{Stream, stream};
use tonic::{Status, Streaming};

use super::{ApiSession, ApiSessions, find, refused};
use crate::{
    door::{
        status,
        verb::any::{self, Order},
    },
    engine::{Engine, Owner},
    listener::calls::{Companion, Companions},
    operation::Context,
    session::{Detached, Message, Outbox, Refusal, Start},
};

/// What the daemon says on a stream.
pub(crate) type Responses = Pin<Box<dyn Stream<Item = Result<OperateResponse, Status>> + Send>>;

/// How far ahead an operation may be scheduled.
const MAX_AHEAD: Duration = Duration::from_secs(3600);
/// How many messages are taken from the outbox at once.
const BATCH: usize = 64;

/// Reads the first message, which must attach, and then carries the session's operations.
pub(super) async fn attach(
    engine: &Arc<Engine>,
    sessions: &ApiSessions,
    owner: Owner,
    companions: &Companions,
    mut requests: Streaming<OperateRequest>,
) -> Result<Responses, Status> {
    let first = requests
        .message()
        .await?
        .and_then(|request| request.message);
    let Some(Incoming::Attach(attach)) = first else {
        return Err(status::invalid(&Violation::new(
            "attach",
            "must be the first message",
        )));
    };
    let session = find(sessions, &attach.session_id, owner)?;
    let (outbox, known) = session.attach(attach.attempt).map_err(detached)?;

    let said = Arc::new(Said::default());
    let reader = Reader {
        context: Context {
            engine: Arc::clone(engine),
            owner,
            session: Some(Arc::clone(&session.block)),
            request_id: None,
            watch: None,
        },
        session: Arc::clone(&session),
        outbox: Arc::clone(&outbox),
        said: Arc::clone(&said),
    };
    let attachment = Attachment {
        _reader: companions.run(reader.read(requests)),
        session,
        outbox,
        said,
        pending: Vec::new().into_iter(),
    };
    let attached = respond(Outgoing::Attached(v1::Attached { request_ids: known }));
    let responses = stream::unfold(attachment, Attachment::next);
    Ok(Box::pin(stream::StreamExt::chain(
        stream::iter([Ok(attached)]),
        responses,
    )))
}

/// How a stream's client has stopped speaking.
#[derive(Default)]
struct Said {
    /// Whether it has sent its last message.
    all: AtomicBool,
    /// Why its last message cannot be read: it is too long, or none of the API's.
    unreadable: OnceLock<Status>,
}

/// A stream's hold on its session.
struct Attachment {
    _reader: Companion,
    session: Arc<ApiSession>,
    outbox: Arc<Outbox>,
    said: Arc<Said>,
    pending: std::vec::IntoIter<Message>,
}

impl Attachment {
    /// The next response. The stream ends when its client has said all and been told all, or with why it is detached.
    async fn next(mut self) -> Option<(Result<OperateResponse, Status>, Self)> {
        loop {
            for message in self.pending.by_ref() {
                let outgoing = match message {
                    Message::Waiting(request_id) => {
                        Outgoing::Waiting(v1::OperationWaiting { request_id })
                    }
                    // Acknowledged meanwhile, after an attachment that told it already.
                    Message::Ended(id) => match self.session.result(id) {
                        Some(result) => Outgoing::Ended(result),
                        None => continue,
                    },
                    Message::Refused(request_id, refusal) => {
                        Outgoing::Refused(v1::RequestRefused {
                            request_id,
                            error: Some(any::failure(&refused(request_id, refusal))),
                        })
                    }
                };
                return Some((Ok(respond(outgoing)), self));
            }
            let done = || self.said.all.load(Ordering::Acquire) && self.session.load().0 == 0;
            match self.outbox.take(BATCH, done).await {
                Ok(messages) if messages.is_empty() => return None,
                Ok(messages) => self.pending = messages.into_iter(),
                Err(why) => {
                    let status = match self.said.unreadable.get() {
                        Some(status) if why == Detached::Unreadable => status.clone(),
                        _ => detached(why),
                    };
                    // After an error the stream is not asked again.
                    return Some((Err(status), self));
                }
            }
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.session.detach(&self.outbox);
    }
}

/// Reads a client's messages.
struct Reader {
    context: Context,
    session: Arc<ApiSession>,
    outbox: Arc<Outbox>,
    said: Arc<Said>,
}

impl Reader {
    /// Reads until the client has said all, is gone or is no longer attached. Always drained: what is refused is refused by a message, not
    /// by silence. After what cannot be read there is no telling what comes next: it ends the stream.
    async fn read(self, mut requests: Streaming<OperateRequest>) {
        loop {
            match requests.message().await {
                Ok(Some(request)) => {
                    if !self.session.renew()
                        || !self.session.hear(&self.outbox, || self.act(request))
                    {
                        break;
                    }
                    // Other tasks of this thread have their turn, however much comes.
                    tokio::task::coop::consume_budget().await;
                }
                Ok(None) => break,
                Err(status) => {
                    // The reader is the only one to say it.
                    let _ = self.said.unreadable.set(status);
                    self.outbox.detach(Detached::Unreadable);
                    break;
                }
            }
        }
        self.said.all.store(true, Ordering::Release);
        self.outbox.wake();
    }

    fn act(&self, request: OperateRequest) {
        let refuse = |id, refusal| self.outbox.push(Message::Refused(id, refusal));
        match request.message {
            Some(Incoming::Start(start)) => {
                let id = start.request_id;
                if let Err(refusal) = self.session.start(order(&self.context, start)) {
                    refuse(id, refusal);
                }
            }
            Some(Incoming::Cancel(cancel)) => {
                let id = cancel.request_id;
                if let Err(refusal) = self.session.cancel(id, cancel.give_back) {
                    refuse(id, refusal);
                }
            }
            Some(Incoming::Acknowledge(acknowledge)) => {
                for (id, refusal) in self.session.acknowledge(&acknowledge.request_ids) {
                    refuse(id, refusal);
                }
            }
            Some(Incoming::KeepAlive(_)) => {}
            Some(Incoming::Attach(_)) | None => refuse(0, Refusal::Unknown),
        }
    }
}

/// What a session is to start.
pub(in crate::door) fn order(
    context: &Context,
    start: v1::StartOperation,
) -> Start<v1::OperationEnded> {
    /// Seeded anew in each process. Who makes two operations look alike gets the result of the first for the second, of their own.
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

    let v1::StartOperation {
        request_id,
        after,
        start_time,
        notify_waiting,
        operation,
    } = start;
    let fingerprint = HASHER.hash_one((&operation, after, start_time));
    let request = operation.and_then(|operation| operation.request);
    let start_time = start_time.map(scheduled).transpose();
    let order = |start_time| Order {
        id: request_id,
        start_time,
        notify_waiting,
    };
    let (room, job) = match start_time {
        Ok(start_time) => any::job(context.clone(), order(start_time), request),
        Err(violation) => any::malformed(order(None), violation),
    };
    Start {
        id: request_id,
        after,
        fingerprint,
        room,
        job,
    }
}

/// When an operation is to start.
fn scheduled(wire: prost_types::Timestamp) -> Result<SystemTime, Violation> {
    let time = time::timestamp_from_wire(wire).map_err(|v| v.within("start_time"))?;
    match time.duration_since(SystemTime::now()) {
        Ok(ahead) if ahead > MAX_AHEAD => {
            Err(Violation::new("start_time", "is more than an hour ahead"))
        }
        _ => Ok(time),
    }
}

fn respond(message: Outgoing) -> OperateResponse {
    OperateResponse {
        message: Some(message),
    }
}

/// How a stream ends that is no longer attached.
fn detached(why: Detached) -> Status {
    let (reason, message) = match why {
        Detached::Taken => (
            Reason::SessionTaken,
            "a newer stream has attached to the session",
        ),
        Detached::Expired => (
            Reason::SessionExpired,
            "the session is over: its lease was, or it was closed",
        ),
        Detached::Draining => (Reason::Draining, "the daemon is shutting down"),
        Detached::Unread => (
            Reason::QuotaExceeded,
            "the client goes on without reading what it is told",
        ),
        Detached::Unreadable => (Reason::InvalidRequest, "a message cannot be read"),
    };
    status::daemon(reason, message.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use farsock_proto::codec::CheckedCodec;
    use prost::Message as _;
    use tonic::{body::Body, codec::Codec as _};

    use super::*;
    use crate::{
        engine::EngineLimits,
        session::{OnExpiry, Terms},
    };

    /// A body of one frame.
    struct Whole(Option<Bytes>);

    impl http_body::Body for Whole {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
            let frame = self.0.take().map(http_body::Frame::data);
            std::task::Poll::Ready(frame.map(Ok))
        }
    }

    #[tokio::test]
    async fn requests_that_lie_ready_are_not_all_carried_out_before_others_have_a_turn() {
        const COUNT: usize = 4_000;
        let engine = Engine::new(EngineLimits {
            max_handles: 16,
            max_waiting: 16,
            allowed: Default::default(),
        })
        .unwrap();
        let sessions = ApiSessions::start(Arc::clone(&engine));
        let terms = Terms {
            owner: Owner::Embedded,
            lease: Duration::from_secs(60),
            on_expiry: OnExpiry::Close,
            label: String::new(),
        };
        let session = sessions.open(terms).unwrap();
        let (outbox, _known) = session.attach(1).unwrap();
        let request = OperateRequest {
            message: Some(Incoming::KeepAlive(v1::KeepAlive {})),
        };
        let message = request.encode_to_vec();
        let length = u8::try_from(message.len()).unwrap();
        let framed = [&[0, 0, 0, 0, length][..], &message].concat();
        let body = Body::new(Whole(Some(framed.repeat(COUNT).into())));
        let decoder = CheckedCodec::<OperateResponse, OperateRequest>::default().decoder();
        let requests = Streaming::new_request(decoder, body, None, None);
        let said = Arc::new(Said::default());
        let reader = Reader {
            context: Context {
                engine,
                owner: Owner::Embedded,
                session: Some(Arc::clone(&session.block)),
                request_id: None,
                watch: None,
            },
            session,
            outbox,
            said: Arc::clone(&said),
        };
        let mut reading = tokio_test::task::spawn(reader.read(requests));
        assert!(reading.poll().is_pending());
        assert!(!said.all.load(Ordering::Acquire));
        // It only waits for its turn.
        reading.await;
        assert!(said.all.load(Ordering::Acquire));
    }
}
