//! Stream: the bytes of a connection.
//!
//! Tasks: none; what the client says is read by a companion of the call, in the connection's task. The response's body owns it and ends
//! it. That is safe: what has arrived is with the flow before the next await, and what was not counted there the client sends again.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use farsock_proto::{
    codec,
    v1::{
        self, StreamRequest, StreamResponse, stream_request::Message as Incoming,
        stream_response::Message as Outgoing,
    },
};
use tonic::{Status, body::Body};

use super::{
    Caller, MAX_WINDOW,
    frames::{self, Event},
    opened, opening,
    reply::{Heard, Reply, Speaker},
    request::{IDLE, Requests, not_now, not_open},
};
use crate::{
    door::{status, verb::any},
    error::Error,
    flow::{ByteFlow, Credit, Ending, Line, Next},
    operation::{self, OpenedStream, execute},
    socket::Waiting,
    table::Handle,
};

/// How much is handed over at once: as many pieces as one system call takes, and as many bytes as a socket's buffer usually has.
const BATCH: (usize, usize) = (64, 256 << 10);

/// Opens the stream that the first message asks for.
pub(super) async fn open(caller: Caller, mut requests: Requests) -> Result<Body, Status> {
    let first = requests.first().await?;
    let Some(Incoming::Open(open)) = decode(first)? else {
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
    let open = operation::Stream { handle, opening };
    let OpenedStream {
        flow,
        line,
        opened: told,
        waiting,
        entry,
    } = execute(&caller.context(handle), open)
        .await
        .map_err(|error| status::status(&error))?;

    let heard = Arc::<Heard>::default();
    let reader = Reader {
        flow: Arc::clone(&flow),
        line: Arc::clone(&line),
        batch: Vec::new(),
    };
    let reader = caller
        .companions
        .run(reader.read(requests, Arc::clone(&heard)));
    let speaker = ByteSpeaker {
        flow,
        line,
        waiting,
    };
    let first = say(Outgoing::Opened(opened(told)));
    Ok(Body::new(Reply::new(first, speaker, heard, reader, entry)))
}

fn decode(message: Bytes) -> Result<Option<Incoming>, Status> {
    codec::decode::<StreamRequest>(message)
        .map(|request| request.message)
        .map_err(|violation| status::invalid(&violation))
}

fn say(message: Outgoing) -> Bytes {
    frames::framed(&StreamResponse {
        message: Some(message),
    })
}

/// Reads what the client says.
struct Reader {
    flow: Arc<ByteFlow>,
    line: Arc<Line>,
    /// Bytes that are not handed over yet.
    batch: Vec<Bytes>,
}

impl Reader {
    /// Reads to the end. The client is always read, whatever it was told.
    async fn read(mut self, mut requests: Requests, heard: Arc<Heard>) {
        let outcome = self.hear(&mut requests).await;
        heard.end(outcome, &self.line);
        requests.drain().await;
    }

    async fn hear(&mut self, requests: &mut Requests) -> Result<(), Status> {
        loop {
            let mut bytes = 0;
            // Takes what is there, so that many small frames are one system call.
            let last = loop {
                let event = poll_fn(|cx| {
                    Poll::Ready(match requests.poll(cx) {
                        Poll::Ready(event) => Some(event),
                        Poll::Pending => None,
                    })
                });
                match event.await {
                    Some(Ok(Some(Event::Data(piece)))) => {
                        bytes += piece.len();
                        self.batch.push(piece);
                        if self.batch.len() >= BATCH.0 || bytes >= BATCH.1 {
                            break None;
                        }
                    }
                    Some(Ok(Some(Event::Message(message)))) => break Some(Ok(Some(message))),
                    Some(Ok(None)) => break Some(Ok(None)),
                    Some(Err(error)) => break Some(Err(error)),
                    None if self.batch.is_empty() => match self.wait(requests).await {
                        Ok(Some(Event::Data(piece))) => {
                            bytes += piece.len();
                            self.batch.push(piece);
                        }
                        Ok(Some(Event::Message(message))) => break Some(Ok(Some(message))),
                        Ok(None) => break Some(Ok(None)),
                        Err(error) => break Some(Err(error)),
                    },
                    None => break None,
                }
            };
            if !self.batch.is_empty() {
                self.flow
                    .arrive(&self.line, &mut self.batch)
                    .map_err(|error| status::status(&error))?;
                // Other tasks of this thread have their turn, however much comes.
                tokio::task::coop::consume_budget().await;
            }
            match last {
                None => {}
                Some(Ok(Some(message))) => {
                    self.act(decode(message)?)?;
                    tokio::task::coop::consume_budget().await;
                }
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Waits for the next event; says what became of the last, if that takes long.
    async fn wait(&self, requests: &mut Requests) -> Result<Option<Event>, Status> {
        if !self.flow.is_untold() {
            return requests.next().await;
        }
        if let Ok(event) = tokio::time::timeout(IDLE, requests.next()).await {
            return event;
        }
        self.flow.rest(&self.line);
        requests.next().await
    }

    fn act(&self, message: Option<Incoming>) -> Result<(), Status> {
        let done = match message {
            Some(Incoming::Data(data)) => self.flow.arrive(&self.line, &mut vec![data]),
            Some(Incoming::Credit(credit)) => {
                self.flow.credit(&self.line, credit.received, credit.limit)
            }
            Some(Incoming::Finish(finish)) => self.flow.finish(&self.line, finish.offset),
            Some(Incoming::Open(_)) => return Err(not_now("open")),
            None => return Err(not_now("message")),
        };
        done.map_err(|error| status::status(&error))
    }
}

/// Says what the flow has to say.
struct ByteSpeaker {
    flow: Arc<ByteFlow>,
    line: Arc<Line>,
    waiting: Waiting,
}

impl Speaker for ByteSpeaker {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, Option<Bytes>), Status>> {
        self.flow
            .poll_next(&self.line, &mut self.waiting, cx, frames::head)
            .map(|next| {
                Ok(match next {
                    Next::Chunk(frame) => (frame, None),
                    Next::Kept(bytes) => (frames::head_alone(bytes.len()), Some(bytes)),
                    Next::Credit(credit) => (say(Outgoing::Credit(told(credit))), None),
                    Next::ReceivingEnded(ending) => {
                        let (offset, error) = end(&ending);
                        let ended = v1::ReceivingEnded { offset, error };
                        (say(Outgoing::ReceivingEnded(ended)), None)
                    }
                    Next::SendingEnded(ending) => {
                        let (offset, error) = end(&ending);
                        let ended = v1::SendingEnded { offset, error };
                        (say(Outgoing::SendingEnded(ended)), None)
                    }
                    Next::Over(error) => return Err(status::status(&error)),
                })
            })
    }

    fn last_words(&mut self) -> Option<Bytes> {
        self.flow
            .last_credit(&self.line)
            .map(|credit| say(Outgoing::Credit(told(credit))))
    }

    fn leave(&mut self) {
        self.flow.leave(&self.line);
    }
}

/// What the daemon tells of the direction in which it receives.
pub(super) fn told(credit: Credit) -> v1::Credit {
    v1::Credit {
        received: credit.received,
        limit: credit.limit,
        taken: credit.taken,
        failures_heard: 0,
    }
}

fn end(ending: &Ending) -> (u64, Option<v1::OperationError>) {
    (ending.offset, ending.error.as_ref().map(failed))
}

/// The error of a system call as a message.
pub(super) fn failed(error: &Error) -> v1::OperationError {
    any::failure(&status::status(error))
}
