//! Datagrams: the messages of a socket.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use farsock_proto::{
    Violation, codec,
    v1::{
        self, DatagramsRequest, DatagramsResponse, datagrams_request::Message as Incoming,
        datagrams_response::Message as Outgoing, outgoing_message::Payload,
    },
};
use tonic::{Status, body::Body};

use super::{
    Caller, MAX_WINDOW,
    bytes::{failed, told},
    frames, messages,
    messages::Hearer,
    opened, opening,
    reply::{Heard, Reply, Speaker},
    request::{Requests, not_now, not_open},
};
use crate::{
    door::{
        status,
        verb::{
            bounded,
            recv_messages::received,
            send_messages::{counted, message},
        },
    },
    flow::{Arrived, Datagram, DatagramFlow, Line, NextItems, Shape},
    operation::{self, MAX_CONTROL, OpenedStream, execute},
    socket::Waiting,
    table::Handle,
};

/// The largest datagram.
const MAX_DATAGRAM: usize = 65_536;

/// Opens the stream that the first message asks for.
pub(super) async fn open(caller: Caller, mut requests: Requests) -> Result<Body, Status> {
    let Some(Incoming::Open(open)) = decode(requests.first().await?)? else {
        return Err(not_open());
    };
    let opening = opening(
        open.stream_id,
        open.attempt,
        open.received,
        open.window,
        MAX_WINDOW,
    )?;
    let shape = shape(&open).map_err(|violation| status::invalid(&violation.within("open")))?;
    let handle = Handle(open.handle);
    let context = caller.context(handle);
    let open = operation::Datagrams {
        handle,
        opening,
        shape,
        failures_heard: open.failures_heard,
    };
    let OpenedStream {
        flow,
        line,
        opened: told,
        waiting,
        entry,
    } = execute(&context, open)
        .await
        .map_err(|error| status::status(&error))?;

    let heard = Arc::<Heard>::default();
    let sender = Sender {
        context: context.clone(),
        flow: Arc::clone(&flow),
        line: Arc::clone(&line),
    };
    let reader = caller
        .companions
        .run(messages::read(sender, requests, Arc::clone(&heard)));
    let speaker = DatagramSpeaker {
        context,
        flow,
        line,
        waiting,
        shape,
    };
    let first = say(Outgoing::Opened(opened(told)));
    Ok(Body::new(Reply::new(first, speaker, heard, reader, entry)))
}

fn shape(open: &v1::OpenDatagrams) -> Result<Shape, Violation> {
    let length = bounded(Some(open.length.into()), "length", 0, 0, MAX_DATAGRAM)?;
    let control = Some(open.control_length.into());
    Ok(Shape {
        length: if length == 0 { MAX_DATAGRAM } else { length },
        control_length: bounded(control, "control_length", 0, 0, MAX_CONTROL)?,
        errors: open.errors,
    })
}

fn decode(message: Bytes) -> Result<Option<Incoming>, Status> {
    codec::decode::<DatagramsRequest>(message)
        .map(|request| request.message)
        .map_err(|violation| status::invalid(&violation))
}

fn say(message: Outgoing) -> Bytes {
    frames::framed(&DatagramsResponse {
        message: Some(message),
    })
}

/// Hears what the client says.
struct Sender {
    context: operation::Context,
    flow: Arc<DatagramFlow>,
    line: Arc<Line>,
}

impl Hearer for Sender {
    fn hear(&self, message: Bytes) -> Result<(), Status> {
        let done = match decode(message)? {
            Some(Incoming::Send(send)) => {
                counted(&send.messages)
                    .map_err(|violation| status::invalid(&violation.within("send")))?;
                let datagrams = send.messages.into_iter().map(datagram).collect();
                self.flow.arrive(&self.context, &self.line, datagrams)
            }
            Some(Incoming::Credit(credit)) => self.flow.credit(
                &self.context,
                &self.line,
                (credit.received, credit.limit),
                credit.failures_heard,
            ),
            Some(Incoming::Open(_)) => return Err(not_now("open")),
            None => return Err(not_now("message")),
        };
        done.map_err(|error| status::status(&error))
    }

    fn is_untold(&self) -> bool {
        self.flow.is_untold()
    }

    fn tell(&self) {
        self.flow.rest(&self.line);
    }

    fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

/// A datagram to send. What is wrong with it is its own failure and not the stream's.
fn datagram(wire: v1::OutgoingMessage) -> Datagram {
    let length = wire.payload.as_ref().map_or(0, Payload::length);
    let message = if length > MAX_DATAGRAM {
        let description = format!("{length} bytes are over {MAX_DATAGRAM}");
        Err(Violation::new("payload", description))
    } else {
        message(wire)
    };
    Datagram { length, message }
}

/// Says what the flow has to say.
struct DatagramSpeaker {
    context: operation::Context,
    flow: Arc<DatagramFlow>,
    line: Arc<Line>,
    waiting: Waiting,
    shape: Shape,
}

impl Speaker for DatagramSpeaker {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, Option<Bytes>), Status>> {
        let next =
            self.flow
                .poll_next(&self.context, self.shape, &self.line, &mut self.waiting, cx);
        next.map(|next| {
            let outgoing = match next {
                NextItems::Items(items) => {
                    let mut message = v1::ReceivedDatagrams {
                        dropped: self.flow.drops(),
                        ..Default::default()
                    };
                    for item in items {
                        match &*item {
                            Arrived::Item(one) => {
                                message.messages.push(received(one.clone(), false))
                            }
                            Arrived::Failed(error) => message.error = Some(failed(error)),
                        }
                    }
                    Outgoing::Received(message)
                }
                NextItems::Dropped => Outgoing::Received(v1::ReceivedDatagrams {
                    dropped: self.flow.drops(),
                    ..Default::default()
                }),
                NextItems::Credit(credit) => Outgoing::Credit(told(credit)),
                NextItems::SendFailed(offset, error) => Outgoing::SendFailed(v1::SendFailed {
                    offset,
                    error: Some(failed(&error)),
                }),
                NextItems::Over(error) => return Err(status::status(&error)),
            };
            Ok((say(outgoing), None))
        })
    }

    fn last_words(&mut self) -> Option<Bytes> {
        self.flow
            .last_words(&self.line)
            .map(|credit| say(Outgoing::Credit(told(credit))))
    }

    fn leave(&mut self) {
        self.flow.leave(&self.line);
    }
}
