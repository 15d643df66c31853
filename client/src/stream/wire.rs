//! Between the stream's messages and what the ledger is made of.

use bytes::Bytes;
use farsock_proto::{
    Violation, codec,
    v1::{
        AcknowledgeResults, Attach, Attached, CancelOperation, KeepAlive, Operation,
        OperationError, OperationResult, OperationWaiting, RequestRefused, operation::Request,
    },
};
use prost::Message as _;
use tonic::{Code, Status};

use super::{ledger::Saying, state::Outgoing};

/// What a receive takes if its request does not say.
const DEFAULT_LENGTH: usize = 65_536;
/// The most bytes that a message has beside the operation in it: two ids, a time, a flag, and the lengths.
pub(super) const MOST_BESIDE: usize = 64;

/// `v1::OperateRequest` as it goes out, where an operation is encoded already: the same on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SentRequest {
    #[prost(oneof = "SentMessage", tags = "1, 2, 3, 4, 5")]
    message: Option<SentMessage>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum SentMessage {
    #[prost(message, tag = "1")]
    Attach(Attach),
    #[prost(message, tag = "2")]
    Start(SentStart),
    #[prost(message, tag = "3")]
    Cancel(CancelOperation),
    #[prost(message, tag = "4")]
    Acknowledge(AcknowledgeResults),
    #[prost(message, tag = "5")]
    KeepAlive(KeepAlive),
}

/// `v1::StartOperation`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SentStart {
    #[prost(uint64, tag = "1")]
    request_id: u64,
    #[prost(uint64, tag = "2")]
    after: u64,
    #[prost(message, optional, tag = "3")]
    start_time: Option<prost_types::Timestamp>,
    #[prost(bool, tag = "4")]
    notify_waiting: bool,
    /// An [`Operation`].
    #[prost(bytes = "bytes", tag = "5")]
    operation: Bytes,
}

impl SentRequest {
    pub(super) fn new(message: SentMessage) -> Self {
        Self {
            message: Some(message),
        }
    }
}

/// `v1::OperateResponse` as it is heard.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeardResponse {
    #[prost(oneof = "HeardMessage", tags = "1, 2, 3, 4")]
    pub(super) message: Option<HeardMessage>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum HeardMessage {
    #[prost(message, tag = "1")]
    Attached(Attached),
    #[prost(message, tag = "2")]
    Waiting(OperationWaiting),
    #[prost(message, tag = "3")]
    Ended(HeardEnded),
    #[prost(message, tag = "4")]
    Refused(RequestRefused),
}

/// `v1::OperationEnded`, whose timing few want to know: half of the message, and of the time it takes to read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeardEnded {
    #[prost(uint64, tag = "1")]
    pub(super) request_id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) result: Option<OperationResult>,
    /// A `v1::OperationTiming`.
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) timing: Bytes,
}

impl HeardEnded {
    /// How many bytes it takes in the daemon.
    pub(super) fn bytes(&self) -> usize {
        self.encoded_len()
    }
}

/// Why a request of `length` bytes is not sent, if it is longer than the daemon reads.
pub(crate) fn too_long(length: usize, most: usize) -> Option<Status> {
    (length > most).then(|| {
        let what = format!("has {length} bytes, and may have {most}");
        codec::refusal(&Violation::new("request", what))
    })
}

/// An operation as the daemon reads it.
pub(super) fn encoded(request: Request) -> Bytes {
    let operation = Operation {
        request: Some(request),
    };
    operation.encode_to_vec().into()
}

pub(super) fn message(saying: Saying<Outgoing>) -> SentRequest {
    SentRequest::new(match saying {
        Saying::Start(request_id, outgoing) => SentMessage::Start(SentStart {
            request_id,
            after: outgoing.after,
            start_time: outgoing.start_time,
            notify_waiting: outgoing.notify_waiting,
            operation: outgoing.operation,
        }),
        Saying::Cancel { id, give_back } => SentMessage::Cancel(CancelOperation {
            request_id: id,
            give_back,
        }),
        Saying::Acknowledge(request_ids) => {
            SentMessage::Acknowledge(AcknowledgeResults { request_ids })
        }
        Saying::KeepAlive => SentMessage::KeepAlive(KeepAlive {}),
    })
}

/// The error as the status that the unary call would have ended with.
pub(crate) fn status_of(error: OperationError) -> Status {
    let code = Code::from_i32(error.code);
    let details = tonic_types::Status {
        code: error.code,
        message: error.message.clone(),
        details: error.details,
    };
    Status::with_details(code, error.message, details.encode_to_vec().into())
}

/// Whether the request takes or makes something that is given back if its caller has gone: see [`CancelOperation`]'s `give_back`.
pub(super) fn gives_back(request: &Request) -> bool {
    match request {
        Request::Accept(_) | Request::Recv(_) | Request::RecvFrom(_) | Request::RecvMessages(_) => {
            true
        }
        // A number that the client chose has an owner from the start.
        Request::CreateSocket(create) => create.new_handle == 0,
        Request::CreateSocketPair(create) => create.new_first == 0,
        _ => false,
    }
}

/// The socket that the request takes something from; 0 for none.
pub(super) fn takes_from(request: &Request) -> u64 {
    match request {
        Request::Accept(accept) => accept.handle,
        Request::Recv(recv) => recv.handle,
        Request::RecvFrom(recv) => recv.handle,
        Request::RecvMessages(recv) => recv.handle,
        _ => 0,
    }
}

/// The bytes that the daemon keeps free for the result, or more.
pub(super) fn room_of(request: &Request) -> usize {
    let count = |count: i32| usize::try_from(count).unwrap_or(0);
    let payload = match request {
        Request::Recv(recv) => bytes(recv.length),
        Request::RecvFrom(recv) => bytes(recv.length),
        Request::RecvMessages(recv) => {
            let control = recv.control_length.map_or(1_024, count);
            let each = bytes(recv.length).saturating_add(control + 1_024);
            each.saturating_mul(recv.max_messages.map_or(1, count))
        }
        Request::GetOption(option) => option.length.map_or(1_024, count),
        Request::SendMessages(send) => 16 * send.messages.len(),
        Request::Poll(poll) => 64 * poll.entries.len(),
        Request::Splice(_) => 2_048,
        Request::ListSockets(list) => 1_024 * count(list.page_size),
        _ => 0,
    };
    payload.saturating_add(1_024)
}

fn bytes(length: Option<i64>) -> usize {
    length.map_or(DEFAULT_LENGTH, |length| {
        usize::try_from(length).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use farsock_proto::v1::{
        self, OperateRequest, StartOperation, operate_request::Message, operation_result::Outcome,
    };

    use super::*;

    #[test]
    fn what_is_heard_is_what_the_api_says() {
        let timing = v1::OperationTiming {
            start: Some(prost_types::Duration {
                seconds: 3,
                nanos: 4,
            }),
            ..v1::OperationTiming::default()
        };
        let result = Some(OperationResult {
            outcome: Some(Outcome::Listen(v1::ListenResponse {})),
        });
        let ended = v1::OperationEnded {
            request_id: 300,
            result: result.clone(),
            timing: Some(timing),
        };
        let said = v1::OperateResponse {
            message: Some(v1::operate_response::Message::Ended(ended.clone())),
        };
        let heard = HeardResponse::decode(&*said.encode_to_vec());
        let Ok(HeardResponse {
            message: Some(HeardMessage::Ended(heard)),
        }) = heard
        else {
            panic!("{heard:?}");
        };
        assert_eq!((heard.request_id, &heard.result), (300, &result));
        assert_eq!(heard.bytes(), ended.encoded_len());
        assert_eq!(v1::OperationTiming::decode(heard.timing), Ok(timing));
    }

    #[test]
    fn what_goes_out_is_what_the_api_says() {
        let request = Request::Listen(v1::ListenRequest {
            handle: 7,
            backlog: Some(0),
        });
        let start_time = Some(prost_types::Timestamp {
            seconds: 5,
            nanos: 6,
        });
        let sayings = [
            (
                Saying::Start(
                    1,
                    Outgoing {
                        operation: encoded(request.clone()),
                        after: 3,
                        start_time,
                        notify_waiting: true,
                    },
                ),
                Message::Start(StartOperation {
                    request_id: 1,
                    after: 3,
                    start_time,
                    notify_waiting: true,
                    operation: Some(Operation {
                        request: Some(request),
                    }),
                }),
            ),
            (
                Saying::Cancel {
                    id: 8,
                    give_back: true,
                },
                Message::Cancel(CancelOperation {
                    request_id: 8,
                    give_back: true,
                }),
            ),
            (
                Saying::Acknowledge(vec![1, 300]),
                Message::Acknowledge(AcknowledgeResults {
                    request_ids: vec![1, 300],
                }),
            ),
            (Saying::KeepAlive, Message::KeepAlive(KeepAlive {})),
        ];
        for (saying, meant) in sayings {
            let sent = message(saying).encode_to_vec();
            let message = Some(meant);
            assert_eq!(
                OperateRequest::decode(&*sent),
                Ok(OperateRequest { message })
            );
        }
        let session_id = "an id".to_owned();
        let attach = Attach {
            session_id,
            attempt: 7,
        };
        let sent = SentRequest::new(SentMessage::Attach(attach.clone())).encode_to_vec();
        let message = Some(Message::Attach(attach));
        assert_eq!(
            OperateRequest::decode(&*sent),
            Ok(OperateRequest { message })
        );
    }
}
