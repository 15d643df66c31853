//! AcceptMany: connections.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use farsock_proto::{
    codec,
    v1::{
        self, AcceptManyRequest, AcceptManyResponse, accept_many_request::Message as Incoming,
        accept_many_response::Message as Outgoing,
    },
};
use tonic::{Status, body::Body};

use super::{
    Caller,
    bytes::failed,
    frames, messages,
    messages::Hearer,
    opened, opening,
    reply::{Heard, Reply, Speaker},
    request::{Requests, not_now, not_open},
};
use crate::{
    door::status,
    flow::{AcceptFlow, Arrived, Line, NextItems},
    operation::{self, OpenedStream, execute},
    socket::Waiting,
    table::Handle,
};

/// How many connections may be accepted beyond those received.
const MAX_WINDOW: u64 = 65_536;

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
    let handle = Handle(open.handle);
    let nonblocking = open.nonblocking;
    let open = operation::AcceptMany {
        handle,
        opening,
        nonblocking,
    };
    let context = caller.context(handle);
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
    let hearer = Acceptor {
        flow: Arc::clone(&flow),
        line: Arc::clone(&line),
    };
    let reader = caller
        .companions
        .run(messages::read(hearer, requests, Arc::clone(&heard)));
    let speaker = AcceptSpeaker {
        context,
        flow,
        line,
        waiting,
        nonblocking,
    };
    let first = say(Outgoing::Opened(opened(told)));
    Ok(Body::new(Reply::new(first, speaker, heard, reader, entry)))
}

fn decode(message: Bytes) -> Result<Option<Incoming>, Status> {
    codec::decode::<AcceptManyRequest>(message)
        .map(|request| request.message)
        .map_err(|violation| status::invalid(&violation))
}

fn say(message: Outgoing) -> Bytes {
    frames::framed(&AcceptManyResponse {
        message: Some(message),
    })
}

/// Hears what the client says.
struct Acceptor {
    flow: Arc<AcceptFlow>,
    line: Arc<Line>,
}

impl Hearer for Acceptor {
    fn hear(&self, message: Bytes) -> Result<(), Status> {
        match decode(message)? {
            Some(Incoming::Credit(credit)) => self
                .flow
                .credit(&self.line, credit.received, credit.limit)
                .map_err(|error| status::status(&error)),
            Some(Incoming::Open(_)) => Err(not_now("open")),
            None => Err(not_now("message")),
        }
    }

    fn is_untold(&self) -> bool {
        false
    }

    fn tell(&self) {}

    fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

/// Says what the flow has to say.
struct AcceptSpeaker {
    context: operation::Context,
    flow: Arc<AcceptFlow>,
    line: Arc<Line>,
    waiting: Waiting,
    nonblocking: bool,
}

impl Speaker for AcceptSpeaker {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, Option<Bytes>), Status>> {
        let next = self.flow.poll_next(
            &self.context,
            self.nonblocking,
            &self.line,
            &mut self.waiting,
            cx,
        );
        next.map(|next| match next {
            NextItems::Items(items) => {
                let mut accepted = v1::AcceptedConnections::default();
                for item in items {
                    match &*item {
                        Arrived::Item(one) => accepted.connections.push(v1::AcceptedConnection {
                            handle: one.handle.0,
                            peer_address: one.peer.clone().map(Into::into),
                        }),
                        Arrived::Failed(error) => accepted.error = Some(failed(error)),
                    }
                }
                Ok((say(Outgoing::Accepted(accepted)), None))
            }
            NextItems::Over(error) => Err(status::status(&error)),
            NextItems::Credit(_) | NextItems::SendFailed(..) | NextItems::Dropped => {
                Err(Status::internal("connections are not sent"))
            }
        })
    }

    fn last_words(&mut self) -> Option<Bytes> {
        None
    }

    fn leave(&mut self) {
        self.flow.leave(&self.line);
    }
}
