//! Between the stream's messages and what the ledger and the lanes are made of.

use bytes::Bytes;
use farsock_proto::v1::{
    self, AcknowledgeResults, CancelOperation, KeepAlive, MessageFlag, OperateRequest, Operation,
    OperationError, StartOperation, operate_request::Message, operation::Request,
    operation_result::Outcome,
};
use prost::Message as _;
use tonic::{Code, Status};

use super::{
    Kind, Lane, Want,
    ledger::Saying,
    returned::{Data, Item},
    state::Outgoing,
};

/// What a receive takes if its request does not say.
const DEFAULT_LENGTH: usize = 65_536;

pub(super) fn message(saying: Saying<Outgoing>) -> OperateRequest {
    let message = match saying {
        Saying::Start(request_id, outgoing) => Message::Start(StartOperation {
            request_id,
            after: outgoing.after,
            start_time: outgoing.start_time,
            notify_waiting: outgoing.notify_waiting,
            operation: Some(Operation {
                request: Some(outgoing.request),
            }),
        }),
        Saying::Cancel(request_id) => Message::Cancel(CancelOperation { request_id }),
        Saying::Acknowledge(request_ids) => {
            Message::Acknowledge(AcknowledgeResults { request_ids })
        }
        Saying::KeepAlive => Message::KeepAlive(KeepAlive {}),
    };
    OperateRequest {
        message: Some(message),
    }
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

/// The lane that a call takes something from.
pub(crate) fn lane_of(request: &Request) -> Option<Lane> {
    let receive = |handle, flags: &[i32]| Lane::Receive {
        handle,
        out_of_band: has(flags, MessageFlag::Oob),
        error_queue: has(flags, MessageFlag::Errqueue),
    };
    match request {
        Request::Accept(accept) => Some(Lane::Accept {
            handle: accept.handle,
            nonblocking: accept.nonblocking,
        }),
        Request::Recv(recv) => Some(receive(recv.handle, &recv.flags)),
        Request::RecvFrom(recv) => Some(receive(recv.handle, &recv.flags)),
        _ => None,
    }
}

/// How a receive wants data; none for other calls.
pub(crate) fn want_of(request: &Request) -> Option<Want> {
    let (length, flags) = match request {
        Request::Recv(recv) => (recv.length, &recv.flags),
        Request::RecvFrom(recv) => (recv.length, &recv.flags),
        _ => return None,
    };
    Some(Want {
        length: bytes(length),
        peek: has(flags, MessageFlag::Peek),
        kind: None,
    })
}

/// What a call took, if it can be given to another.
pub(super) fn item_of(outcome: Outcome) -> Option<Item> {
    match outcome {
        Outcome::Accept(connection) => Some(Item::Connection(connection)),
        Outcome::Recv(received) if !received.end_of_stream => Some(Item::Data(Data {
            data: received.payload.map(Bytes::from).unwrap_or_default(),
            address: None,
            // The end can be received again.
            end_of_stream: false,
            flags: received.flags,
            full_length: received.full_length,
        })),
        Outcome::RecvFrom(received) if !received.end_of_stream => Some(Item::Data(Data {
            data: received.payload.map(Bytes::from).unwrap_or_default(),
            address: received.address,
            // The end can be received again.
            end_of_stream: false,
            flags: received.flags,
            full_length: received.full_length,
        })),
        _ => None,
    }
}

/// The answer that such a request gets of what was taken before.
pub(crate) fn outcome_of(request: &Request, item: Item) -> Option<Outcome> {
    match (request, item) {
        (Request::Accept(_), Item::Connection(connection)) => Some(Outcome::Accept(connection)),
        (Request::Recv(_), Item::Data(data)) => Some(Outcome::Recv(v1::RecvResponse {
            payload: Some(v1::recv_response::Payload::Data(data.data)),
            end_of_stream: data.end_of_stream,
            flags: data.flags,
            full_length: data.full_length,
        })),
        (Request::RecvFrom(_), Item::Data(data)) => Some(Outcome::RecvFrom(v1::RecvFromResponse {
            payload: Some(v1::recv_from_response::Payload::Data(data.data)),
            address: data.address,
            end_of_stream: data.end_of_stream,
            flags: data.flags,
            full_length: data.full_length,
        })),
        _ => None,
    }
}

/// What becomes of data that is longer than wanted, by the socket's type.
pub(crate) fn kind_of(socket: &v1::Socket) -> Kind {
    match socket.r#type() {
        v1::SocketType::Stream => Kind::Stream,
        _ => Kind::Messages,
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

fn has(flags: &[i32], flag: MessageFlag) -> bool {
    flags.contains(&flag.into())
}
