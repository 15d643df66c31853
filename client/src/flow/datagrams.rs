//! The flow of a socket of datagrams: batches both ways.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use ::bytes::{Bytes, BytesMut};
use farsock_proto::{
    Violation,
    v1::{
        self, DatagramsRequest, DatagramsResponse, datagrams_request::Message as Request,
        datagrams_response::Message as Response, outgoing_message::Payload,
    },
};

use super::{
    Frames, Kind, Opening, Outgoing, Said, Staging,
    state::Item,
    tried,
    wire::{self, HEADROOM},
};
use crate::{Error, ReceivedMessage, Result, socket::recv_messages, stream};

/// What each datagram, and each error, costs beside its bytes.
const EACH: u64 = 64;
/// The most datagrams in one message.
const MANY: usize = 64;
/// So many encoded bytes are a message of their own.
const LONG: usize = 128 << 10;

/// Datagrams of a socket.
#[derive(Debug, Default)]
pub(crate) struct DatagramFlow {
    pub(crate) handle: u64,
    pub(crate) length: u32,
    pub(crate) control_length: u32,
    pub(crate) errors: bool,
    /// What the kernel has dropped so far.
    pub(crate) dropped: AtomicU32,
    /// The end of the last datagram whose failure has come: no later opening need be told of it again, and one that broke off while all
    /// that the daemon keeps was on its way would never get further. Those that the user has not heard of wait here, never more than
    /// there were datagrams under way, since a failure is told before more are taken.
    pub(crate) failed: AtomicU64,
}

/// What is received at once.
#[derive(Debug, Default)]
pub(crate) struct Received {
    messages: Vec<ReceivedMessage>,
    /// After them.
    error: Option<Error>,
}

impl Received {
    /// Takes the datagrams, or the error if it is next; what it costs, and whether it was all.
    pub(crate) fn take(&mut self) -> (Result<Vec<ReceivedMessage>>, u64, bool) {
        if !self.messages.is_empty() {
            let messages = std::mem::take(&mut self.messages);
            let cost = messages.iter().map(cost_of).sum();
            return (Ok(messages), cost, self.error.is_none());
        }
        match self.error.take() {
            Some(error) => (Err(error), EACH, true),
            None => (Ok(Vec::new()), 0, true),
        }
    }

    fn cost(&self) -> u64 {
        let messages: u64 = self.messages.iter().map(cost_of).sum();
        messages + if self.error.is_some() { EACH } else { 0 }
    }
}

fn cost_of(message: &ReceivedMessage) -> u64 {
    message.data.len() as u64 + EACH
}

impl Kind for DatagramFlow {
    const PATH: &'static str = "/farsock.v1.StreamService/Datagrams";
    const VERB: &'static str = "datagrams";
    const WINDOW: u64 = 1 << 20;
    const BACKLOG: u64 = 512 << 10;
    const PAYLOADS: bool = false;
    const LONGEST: usize = 16 << 20;
    type Staging = Encoded;
    type In = Received;
    type Response = DatagramsResponse;

    fn open(&self, opening: Opening) -> Bytes {
        request(Request::Open(v1::OpenDatagrams {
            handle: opening.handle,
            stream_id: opening.stream_id,
            attempt: opening.attempt,
            received: opening.received,
            window: opening.window,
            length: self.length,
            control_length: self.control_length,
            errors: self.errors,
            failures_heard: self.failed.load(Ordering::Relaxed),
        }))
    }

    fn credit(credit: v1::Credit) -> Bytes {
        request(Request::Credit(credit))
    }

    fn finish(_offset: u64) -> Option<Bytes> {
        None
    }

    fn payload(_data: Bytes) -> Option<(Received, u64)> {
        None
    }

    fn said(&self, response: DatagramsResponse) -> Result<Said<Received>, Violation> {
        Ok(match response.message {
            Some(Response::Received(received)) => {
                self.dropped.store(received.dropped, Ordering::Relaxed);
                if received.messages.is_empty() && received.error.is_none() {
                    return Ok(Said::Unknown);
                }
                let messages = received.messages.into_iter();
                let received = Received {
                    messages: messages
                        .map(recv_messages::message)
                        .collect::<Result<_, _>>()?,
                    error: received.error.map(|error| {
                        let tried = tried::<Self>(self.handle);
                        Error::from_status(tried, &stream::status_of(error))
                    }),
                };
                let cost = received.cost();
                Said::Item(received, cost)
            }
            Some(Response::Opened(opened)) => Said::Opened(opened),
            Some(Response::Credit(credit)) => Said::Credit(credit),
            Some(Response::SendFailed(failed)) => {
                self.failed.fetch_max(failed.offset, Ordering::Relaxed);
                Said::SendFailed(failed)
            }
            None => Said::Unknown,
        })
    }
}

fn request(message: Request) -> Bytes {
    wire::framed(&DatagramsRequest {
        message: Some(message),
    })
}

impl Outgoing<'_, DatagramFlow> {
    /// Takes a datagram.
    pub(crate) fn give(&mut self, message: &v1::OutgoingMessage) {
        if self.staging.is_full() {
            self.seal();
        }
        self.staging.encode(message);
    }
}

/// Datagrams that go out as one message, encoded.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// `marks` of this batch, `SendDatagrams` without its header.
    encoded: Bytes,
    /// The same memory with the message's header before it, if there was room for it.
    framed: Option<Bytes>,
    marks: Arc<[Mark]>,
    /// Which of `marks` are this batch's: from `first`, up to `last`.
    first: usize,
    last: usize,
}

/// Where a datagram ends, from the beginning of the batch that it was encoded in.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    bytes: usize,
    cost: u64,
}

impl Batch {
    /// Where the datagrams before `index` end.
    fn mark(&self, index: usize) -> Mark {
        match index {
            0 => Mark::default(),
            index => self.marks[index - 1],
        }
    }
}

impl Item for Batch {
    fn cost(&self) -> u64 {
        self.mark(self.last).cost - self.mark(self.first).cost
    }

    fn cut(&mut self, most: u64) -> Option<Self> {
        let start = self.mark(self.first);
        let own = &self.marks[self.first..self.last];
        let count = own.partition_point(|mark| mark.cost - start.cost <= most);
        if count == 0 {
            return None;
        }
        let end = self.first + count;
        let mut first = self.clone();
        first.last = end;
        first.encoded = self.encoded.split_to(self.mark(end).bytes - start.bytes);
        first.framed = None;
        self.first = end;
        self.framed = None;
        Some(first)
    }
}

impl Frames for Batch {
    fn frames(self) -> (Bytes, Option<Bytes>) {
        if let Some(framed) = self.framed {
            return (framed, None);
        }
        let (header, used) = wire::header(self.encoded.len());
        (Bytes::copy_from_slice(&header[..used]), Some(self.encoded))
    }
}

/// Datagrams that were encoded, with room for a header before them.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    buffer: BytesMut,
    marks: Vec<Mark>,
}

impl Encoded {
    fn is_full(&self) -> bool {
        self.marks.len() >= MANY || self.buffer.len() >= LONG
    }

    fn encode(&mut self, message: &v1::OutgoingMessage) {
        if self.buffer.is_empty() {
            self.buffer.resize(HEADROOM, 0);
        }
        prost::encoding::message::encode(1, message, &mut self.buffer);
        let payload = message.payload.as_ref().map_or(0, Payload::length);
        self.marks.push(Mark {
            bytes: self.buffer.len() - HEADROOM,
            cost: self.cost() + payload as u64 + EACH,
        });
    }
}

impl Staging for Encoded {
    type Item = Batch;

    fn cost(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.cost)
    }

    fn take(&mut self) -> Option<Batch> {
        if self.marks.is_empty() {
            return None;
        }
        let (header, used) = wire::header(self.buffer.len() - HEADROOM);
        let start = HEADROOM - used;
        self.buffer[start..HEADROOM].copy_from_slice(&header[..used]);
        let framed = self.buffer.split().freeze().slice(start..);
        let marks: Arc<[Mark]> = std::mem::take(&mut self.marks).into();
        Some(Batch {
            encoded: framed.slice(used..),
            framed: Some(framed),
            first: 0,
            last: marks.len(),
            marks,
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn datagram(length: usize) -> v1::OutgoingMessage {
        v1::OutgoingMessage {
            payload: Some(Payload::Data(vec![7; length].into())),
            ..v1::OutgoingMessage::default()
        }
    }

    fn decoded(batch: Batch) -> Vec<v1::OutgoingMessage> {
        let (first, second) = batch.frames();
        let wire = [first, second.unwrap_or_default()].concat();
        match DatagramsRequest::decode(&wire[5..]).unwrap().message {
            Some(Request::Send(send)) => send.messages,
            message => panic!("{message:?}"),
        }
    }

    #[test]
    fn a_batch_is_what_generated_code_writes_whole_and_in_parts() {
        let mut encoded = Encoded::default();
        let lengths = [3, 0, 500, 40];
        lengths
            .iter()
            .for_each(|&length| encoded.encode(&datagram(length)));
        assert_eq!(encoded.cost(), 543 + 4 * 64);
        let mut batch = encoded.take().unwrap();
        assert_eq!(batch.cost(), 543 + 4 * 64);
        assert_eq!(decoded(batch.clone()), lengths.map(datagram));
        assert!(encoded.take().is_none());
        assert!(batch.cut(66).is_none());
        let first = batch.cut(67 + 64 + 563).unwrap();
        assert_eq!(decoded(first), [3, 0].map(datagram));
        assert_eq!(decoded(batch.clone()), [500, 40].map(datagram));
        assert_eq!(decoded(batch.cut(10_000).unwrap()), [500, 40].map(datagram));
        assert_eq!(batch.cost(), 0);
    }
}
