//! The task of a session's stream: attaches, receives, keeps the lease, and comes back when the
//! connection breaks.

use std::{pin::pin, sync::Arc, time::Duration};

use farsock_proto::{
    reason::{DAEMON_DOMAIN, INSTANCE_METADATA, Reason},
    v1::{Attach, CloseSessionRequest, CloseSessionResponse},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    Ended, Limits, Shared,
    backoff::Backoff,
    wire::{HeardMessage, HeardResponse, SentMessage, SentRequest},
};
use crate::{ErrorKind, client::Transport, status::kind_of};

const OPERATE: &str = "/farsock.v1.SessionService/Operate";
const CLOSE_SESSION: &str = "/farsock.v1.SessionService/CloseSession";
/// How long the daemon may take to close a session that nobody waits for: its lease does the same.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Far enough to be never, and near enough for the timer.
const NEVER: Duration = Duration::from_secs(86_400);

/// The daemon instance that the session is meant to be at.
type Instance = Option<MetadataValue<Ascii>>;

/// What the daemon said of the session.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) session_id: String,
    pub(crate) first_handle: u64,
    pub(crate) handle_count: u64,
    pub(crate) limits: Limits,
    /// How long attaching may take, each time.
    pub(crate) attach_timeout: Duration,
}

/// Why a stream is no longer attached.
enum End {
    /// The connection broke: it is worth another attempt.
    Broken(Status),
    /// The daemon does not want this session's stream.
    Over(Status),
}

/// How far an attachment came.
struct Progress {
    /// Whether the session is new: the daemon knows no operation of it, so nothing needs to be heard
    /// before the first is sent.
    new: bool,
    attached: bool,
    /// Counts the attempts, from 1: the daemon refuses one that was delayed on an older connection.
    attempt: u64,
}

/// Ends when the session is over for the daemon, or `shared` is closing.
pub(super) async fn drive(
    shared: Arc<Shared>,
    transport: Transport,
    instance: Instance,
    terms: Terms,
) {
    // However this task ends, nobody waits for it any more.
    let _end = GiveUp(Arc::clone(&shared));
    tokio::select! {
        why = stay_attached(&shared, &transport, &instance, &terms) => shared.give_up(why),
        () = shared.closing.notified() => {
            shared.detach();
            // The lease does the same, if this does not reach the daemon.
            let _ = timeout(CLOSE_WITHIN, close(transport, terms.session_id)).await;
        }
    }
}

struct GiveUp(Arc<Shared>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.give_up(expired("the client's runtime has ended"));
    }
}

/// Ends when the session is over, and tells why.
async fn stay_attached(
    shared: &Arc<Shared>,
    transport: &Transport,
    instance: &Instance,
    terms: &Terms,
) -> Status {
    let mut backoff = Backoff::new();
    let mut progress = Progress {
        new: true,
        attached: false,
        attempt: 1,
    };
    // The daemon cannot have heard of the client after this.
    let mut lost = Instant::now();
    loop {
        let over = lost + terms.limits.lease;
        let end = attach(shared, transport, instance, terms, &mut progress, over).await;
        shared.detach();
        match end {
            End::Over(why) => return why,
            End::Broken(_) if progress.attached => {
                lost = Instant::now();
                backoff.reset();
            }
            End::Broken(why) => shared.is_away(&why),
        }
        progress = Progress {
            new: false,
            attached: false,
            attempt: progress.attempt + 1,
        };
        let wait = backoff.wait();
        if Instant::now() + wait >= lost + terms.limits.lease {
            return expired("the daemon could not be reached until the session's lease was over");
        }
        sleep(wait).await;
    }
}

/// Attaches to the session, and serves the stream until it ends.
async fn attach(
    shared: &Arc<Shared>,
    transport: &Transport,
    instance: &Instance,
    terms: &Terms,
    progress: &mut Progress,
    over: Instant,
) -> End {
    let (outgoing, messages) = mpsc::unbounded_channel();
    let attach = SentRequest::new(SentMessage::Attach(Attach {
        session_id: terms.session_id.clone(),
        attempt: progress.attempt,
    }));
    // The receiver is here: it cannot fail.
    let _ = outgoing.send(attach);
    if progress.new {
        shared.attach(outgoing.clone(), &[]);
    }
    let opening = async {
        let mut incoming = open(transport, instance, messages).await?;
        let known = first_message(&mut incoming).await?;
        Ok::<_, Status>((incoming, known))
    };
    let by = over.min(Instant::now() + terms.attach_timeout);
    let (mut incoming, known) = match timeout_at(by, opening).await {
        Ok(Ok(attached)) => attached,
        Ok(Err(status)) => return end_of(status),
        Err(_) => return End::Broken(Status::unavailable("the daemon does not answer")),
    };
    progress.attached = true;
    shared.is_back();
    if !progress.new {
        shared.attach(outgoing, &known);
    }
    serve(shared, &mut incoming).await
}

async fn open(
    transport: &Transport,
    instance: &Instance,
    messages: mpsc::UnboundedReceiver<SentRequest>,
) -> Result<Streaming<HeardResponse>, Status> {
    let mut grpc = Grpc::new(transport.channel.clone())
        .max_decoding_message_size(transport.max_response_bytes);
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(UnboundedReceiverStream::new(messages));
    if let Some(instance) = instance {
        request
            .metadata_mut()
            .insert(INSTANCE_METADATA, instance.clone());
    }
    let response = grpc
        .streaming(
            request,
            PathAndQuery::from_static(OPERATE),
            ProstCodec::<SentRequest, HeardResponse>::default(),
        )
        .await?;
    Ok(response.into_inner())
}

/// The ids that the daemon knows.
async fn first_message(incoming: &mut Streaming<HeardResponse>) -> Result<Vec<u64>, Status> {
    match incoming.message().await? {
        Some(HeardResponse {
            message: Some(HeardMessage::Attached(attached)),
        }) => Ok(attached.request_ids),
        Some(_) => Err(Status::data_loss(
            "the daemon's first message is no Attached",
        )),
        None => Err(Status::unavailable("the daemon ended the stream")),
    }
}

async fn serve(shared: &Arc<Shared>, incoming: &mut Streaming<HeardResponse>) -> End {
    let never = || Instant::now() + NEVER;
    let due = |due: Option<std::time::Instant>| due.map_or_else(never, Instant::from_std);
    let mut timer = pin!(sleep_until(due(shared.tick())));
    loop {
        tokio::select! {
            // The timer is looked at when the messages that have come are heard, and their calls get no later.
            biased;
            message = incoming.message() => match message {
                Ok(Some(HeardResponse { message: Some(message) })) => {
                    // Putting the timer off is not worth the work: it is when it fires.
                    if let Some(next) = receive(shared, message).map(Instant::from_std)
                        && next < timer.deadline()
                    {
                        timer.as_mut().reset(next);
                    }
                }
                // A newer daemon's message.
                Ok(Some(_)) => {}
                Ok(None) => {
                    return End::Broken(Status::unavailable("the daemon ended the stream"));
                }
                Err(status) => return end_of(status),
            },
            () = &mut timer => timer.as_mut().reset(due(shared.tick())),
        }
    }
}

/// Takes a message, and tells when something is due.
fn receive(shared: &Shared, message: HeardMessage) -> Option<std::time::Instant> {
    match message {
        HeardMessage::Ended(ended) => {
            let bytes = ended.bytes();
            let outcome = ended.result.and_then(|result| result.outcome);
            let result = match outcome {
                Some(outcome) => Ended::Result {
                    outcome: Box::new(outcome),
                    timing: ended.timing,
                    receipt: None,
                },
                None => Ended::Lost(Status::internal(
                    "the daemon's result is of no kind known here",
                )),
            };
            return shared.ended(ended.request_id, bytes, result);
        }
        HeardMessage::Waiting(waiting) => shared.waiting(waiting.request_id),
        HeardMessage::Refused(refused) => {
            shared.refused(refused.request_id, refused.error.unwrap_or_default());
        }
        HeardMessage::Attached(_) => {}
    }
    None
}

/// What the end of a stream means for the session.
fn end_of(status: Status) -> End {
    match kind_of(&status) {
        ErrorKind::Daemon {
            reason: Reason::SessionNotFound,
        } => End::Over(expired(
            "the daemon does not know the session any more: it was closed, its lease was over, or \
             the daemon was restarted",
        )),
        ErrorKind::Daemon {
            reason: Reason::Draining,
        }
        | ErrorKind::Unreachable
        | ErrorKind::DeadlineExceeded => End::Broken(status),
        ErrorKind::Other => match status.code() {
            // Without details they are not the daemon's own words, but those of what is in between.
            Code::Unknown | Code::Internal | Code::Cancelled | Code::DataLoss => {
                End::Broken(status)
            }
            _ => End::Over(status),
        },
        _ => End::Over(status),
    }
}

pub(crate) fn expired(message: &str) -> Status {
    Status::with_error_details(
        Code::Aborted,
        message,
        ErrorDetails::with_error_info(
            Reason::SessionExpired.as_str(),
            DAEMON_DOMAIN,
            std::collections::HashMap::new(),
        ),
    )
}

async fn close(transport: Transport, session_id: String) -> Result<(), Status> {
    let mut grpc = Grpc::new(transport.channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let abort = false;
    grpc.unary(
        Request::new(CloseSessionRequest { session_id, abort }),
        PathAndQuery::from_static(CLOSE_SESSION),
        ProstCodec::<CloseSessionRequest, CloseSessionResponse>::default(),
    )
    .await?;
    Ok(())
}
