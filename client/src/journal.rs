//! The journal: what is done to one's sockets, by whatever program, call by call.

use std::time::{Duration, SystemTime};

use farsock_proto::{
    Violation,
    reason::INSTANCE_METADATA,
    v1::{self, watch_response::Message},
};
use tonic::{Streaming, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{Bytes, Client, Error, Result, call::Tried, convert};

const PATH: &str = "/farsock.v1.JournalService/Watch";
const TRIED: Tried = Tried {
    verb: "journal",
    handle: None,
};

/// Which operations to be told of, and how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalOptions {
    /// Only those on this handle, or that made it. Default: all.
    pub handle: Option<u64>,
    /// Only those of the session of this id. Default: all.
    pub session_id: Option<String>,
    /// How many bytes of each payload to be told, 0-4,096. Default: none.
    pub payload_bytes: u32,
}

/// An operation that has ended, or what happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    /// Counts the caller's records, up from 1 while somebody watches.
    pub sequence: u64,
    /// Who asked for it: "uid 0", "tcp" or "embedded".
    pub owner: String,
    /// The session that it belongs to.
    pub session_id: Option<String>,
    /// Its request id within the session.
    pub request_id: Option<u64>,
    /// The verb, as the API names it: "Bind".
    pub verb: String,
    /// The handle it was on, if it was on just one.
    pub handle: Option<u64>,
    /// The system call with its arguments, as strace(1) shows it: "bind(1, 127.0.0.1:0)". A payload that
    /// was not asked for is "...".
    pub call: String,
    /// What it returned: "= 0 (127.0.0.1:4000)", "= -1 ECONNREFUSED (Connection refused)",
    /// "= TIMED_OUT"; "= ? (abandoned)" if nobody waited for its end.
    pub result: String,
    /// The errno's name, if the kernel said no.
    pub errno_name: Option<String>,
    /// How many bytes of payload it moved, if it moves any.
    pub bytes: Option<u64>,
    /// When it began, by the daemon's clock.
    pub start_time: SystemTime,
    /// How long it waited for readiness or for its turn.
    pub waited: Duration,
    /// How long it took, the waiting among it.
    pub duration: Duration,
    /// The first bytes of its payload, of several messages the first one's.
    pub payload: Option<Bytes>,
    /// What happened to a stream, if that is what the record tells of.
    pub stream: Option<JournalStream>,
}

/// What happened to a stream: the bytes, datagrams or connections of a handle, as flows and
/// [`incoming`](crate::TcpListener::incoming) open them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalStream {
    /// Counts the openings of the handle's stream, up from 1. After a broken connection a stream is opened again.
    pub opening: u64,
    /// What happened.
    pub event: JournalStreamEvent,
}

/// What can happen to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalStreamEvent {
    /// It was opened.
    Opened {
        /// Whether it goes on where an earlier opening was.
        resumed: bool,
        /// Whether that one was still there, and has ended with this.
        took_over: bool,
        /// Where sending goes on; of bytes their number so far.
        send_offset: u64,
        /// Where receiving goes on.
        receive_offset: u64,
    },
    /// The opening has ended.
    Ended {
        /// From the client to the socket; none of connections.
        sent: Option<JournalDirection>,
        /// From the socket to the client.
        received: JournalDirection,
    },
}

/// What one direction of a stream moved through the socket while it was open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalDirection {
    /// Bytes of payload.
    pub bytes: u64,
    /// Datagrams, or connections.
    pub items: u64,
    /// Datagrams that could not be sent, or errors that receiving or accepting met.
    pub failed: u64,
    /// What the socket has not taken yet, or the client not acknowledged, in the units of the offsets.
    pub left: u64,
    /// Whether the direction has ended: by the half-close of one side, or by an error.
    pub ended: bool,
    /// The errno's name that it ended with.
    pub errno_name: Option<String>,
}

/// What a journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEvent {
    /// An operation has ended.
    Record(Box<JournalRecord>),
    /// This reader fell behind: so many records are lost to it.
    Missed(u64),
}

/// The operations of this client's owner, as they end; see [`Client::journal`].
#[derive(Debug)]
pub struct Journal {
    responses: Streaming<v1::WatchResponse>,
}

impl Client {
    /// Watches the operations of this client's owner, whichever program asks for them: from the return
    /// of this call on, and as they end. Corresponds to strace(1).
    ///
    /// The daemon keeps 4,096 records for a reader that is slow; one that falls behind by more is told
    /// how many it missed. The client's timeout does not hold for it.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if `payload_bytes` is over 4,096, and
    /// [`Reason::SessionNotFound`](crate::Reason::SessionNotFound) if there is no session of that id.
    pub async fn journal(&self, options: JournalOptions) -> Result<Journal> {
        let transport = self.transport();
        let mut request = tonic::Request::new(v1::WatchRequest {
            handle: options.handle,
            session_id: options.session_id.unwrap_or_default(),
            payload_bytes: options.payload_bytes,
        });
        if let Some(instance) = self.instance() {
            request
                .metadata_mut()
                .insert(INSTANCE_METADATA, instance.clone());
        }
        let mut grpc = Grpc::new(transport.channel.clone())
            .max_decoding_message_size(transport.max_response_bytes);
        grpc.ready()
            .await
            .map_err(|error| Error::unreachable(TRIED, &error))?;
        let codec = ProstCodec::<v1::WatchRequest, v1::WatchResponse>::default();
        let mut responses = grpc
            .server_streaming(request, PathAndQuery::from_static(PATH), codec)
            .await
            .map_err(|status| Error::from_status(TRIED, &status))?
            .into_inner();
        match message(&mut responses).await? {
            Some(Message::Started(_)) => Ok(Journal { responses }),
            _ => Err(invalid(Violation::new("started", "absent"))),
        }
    }
}

impl Journal {
    /// Waits for the next event; none when the daemon ends. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](crate::ErrorKind::Unreachable) if the connection breaks, and
    /// [`Reason::SessionExpired`](crate::Reason::SessionExpired) when the session is over that was to be watched.
    pub async fn next(&mut self) -> Result<Option<JournalEvent>> {
        match message(&mut self.responses).await? {
            None => Ok(None),
            Some(Message::Record(wire)) => {
                let record = record(wire).map_err(|v| invalid(v.within("record")))?;
                Ok(Some(JournalEvent::Record(Box::new(record))))
            }
            Some(Message::Missed(count)) => Ok(Some(JournalEvent::Missed(count))),
            Some(Message::Started(_)) => Err(invalid(Violation::new("started", "is told twice"))),
        }
    }
}

/// The next message; none at the end.
async fn message(responses: &mut Streaming<v1::WatchResponse>) -> Result<Option<Message>> {
    let response = responses
        .message()
        .await
        .map_err(|status| Error::from_status(TRIED, &status))?;
    response
        .map(|response| convert::present("message", response.message))
        .transpose()
        .map_err(invalid)
}

fn record(wire: v1::JournalRecord) -> Result<JournalRecord, Violation> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(JournalRecord {
        sequence: wire.sequence,
        owner: wire.owner,
        session_id: some(wire.session_id),
        request_id: wire.request_id,
        verb: wire.verb,
        handle: wire.handle,
        call: wire.call,
        result: wire.result,
        errno_name: some(wire.errno_name),
        bytes: wire.bytes,
        start_time: convert::time("start_time", wire.start_time)?,
        waited: convert::span("waited", wire.waited)?,
        duration: convert::span("duration", wire.duration)?,
        payload: wire.payload,
        stream: wire
            .stream
            .map(|wire| stream(wire).map_err(|v| v.within("stream")))
            .transpose()?,
    })
}

fn stream(wire: v1::JournalStream) -> Result<JournalStream, Violation> {
    use v1::journal_stream::Event;
    let event = match convert::present("event", wire.event)? {
        Event::Opened(opened) => JournalStreamEvent::Opened {
            resumed: opened.resumed,
            took_over: opened.took_over,
            send_offset: opened.send_offset,
            receive_offset: opened.receive_offset,
        },
        Event::Ended(ended) => JournalStreamEvent::Ended {
            sent: ended.sent.map(direction),
            received: direction(convert::present("received", ended.received)?),
        },
    };
    let opening = wire.opening;
    Ok(JournalStream { opening, event })
}

fn direction(wire: v1::JournalDirection) -> JournalDirection {
    let errno_name = wire.errno_name;
    JournalDirection {
        bytes: wire.bytes,
        items: wire.items,
        failed: wire.failed,
        left: wire.left,
        ended: wire.ended,
        errno_name: (!errno_name.is_empty()).then_some(errno_name),
    }
}

fn invalid(violation: Violation) -> Error {
    Error::invalid_response(TRIED, violation)
}
