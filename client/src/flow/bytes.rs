//! The flow of a connection: bytes both ways.

use bytes::{Bytes, BytesMut};
use farsock_proto::{
    Violation,
    v1::{
        self, OpenStream, StreamRequest, StreamResponse, stream_request::Message as Request,
        stream_response::Message as Response,
    },
};

use super::{
    Frames, Hears, Kind, Opening, Outgoing, Said, Staging,
    state::Item,
    wire::{self, HEADROOM},
};

/// The most bytes in one message of what was copied.
const CHUNK: usize = 256 << 10;
/// What is given whole goes out in messages of at most this many bytes.
const MESSAGE: usize = 1 << 20;
/// The room that is made at once where more is to come.
const ROOM: usize = 64 << 10;
/// What is given whole and is shorter is copied, so that many are one message.
const SHORT: usize = 4 << 10;
/// Bytes that are so few are copied rather than kept with all of the memory that they are a part of.
const FEW: usize = 1 << 10;

/// Bytes of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteFlow {
    pub(crate) hears: Hears,
}

impl Kind for ByteFlow {
    const PATH: &'static str = "/farsock.v1.StreamService/Stream";
    const VERB: &'static str = "stream";
    const WINDOW: u64 = 1 << 20;
    const WIDEST: u64 = 2 << 20;
    const BACKLOG: u64 = 512 << 10;
    const PAYLOADS: bool = true;
    const LONGEST: usize = 64 << 10;
    type Staging = Copied;
    type In = Bytes;
    type Response = StreamResponse;

    fn hears(&self) -> Option<Hears> {
        Some(self.hears)
    }

    fn open(&self, opening: Opening) -> Bytes {
        request(Request::Open(OpenStream {
            handle: opening.handle,
            stream_id: opening.stream_id,
            attempt: opening.attempt,
            received: opening.received,
            window: opening.window,
        }))
    }

    fn credit(credit: v1::Credit) -> Bytes {
        request(Request::Credit(credit))
    }

    fn finish(offset: u64) -> Option<Bytes> {
        Some(request(Request::Finish(v1::FinishSending { offset })))
    }

    fn payload(data: Bytes) -> Option<(Bytes, u64)> {
        let cost = data.len() as u64;
        let data = if data.len() < FEW {
            Bytes::copy_from_slice(&data)
        } else {
            data
        };
        (cost > 0).then_some((data, cost))
    }

    fn said(&self, response: StreamResponse) -> Result<Said<Bytes>, Violation> {
        Ok(match response.message {
            Some(Response::Data(data)) => {
                let cost = data.len() as u64;
                Said::Item(data, cost)
            }
            Some(Response::Opened(opened)) => Said::Opened(opened),
            Some(Response::Credit(credit)) => Said::Credit(credit),
            Some(Response::ReceivingEnded(ended)) => Said::ReceivingEnded(ended),
            Some(Response::SendingEnded(ended)) => Said::SendingEnded(ended),
            None => Said::Unknown,
        })
    }
}

fn request(message: Request) -> Bytes {
    wire::framed(&StreamRequest {
        message: Some(message),
    })
}

impl Outgoing<'_, ByteFlow> {
    /// Copies bytes of the user's.
    pub(crate) fn copy(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let busy = self.is_busy();
            let copied = self.staging.copy(data, busy);
            if copied == 0 {
                self.seal();
            }
            data = &data[copied..];
        }
    }

    /// Takes bytes that the user gives away.
    pub(crate) fn give(&mut self, data: Bytes) {
        if data.len() < SHORT {
            self.copy(&data);
        } else {
            Chunk::of(data).for_each(|chunk| self.push(chunk));
        }
    }
}

/// Bytes that go out as one message.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    data: Bytes,
    /// The same memory with the message's header before it, if there was room for it.
    framed: Option<Bytes>,
}

impl Chunk {
    /// Bytes as the user gave them, in messages.
    fn of(mut data: Bytes) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let data = data.split_to(data.len().min(MESSAGE));
            (!data.is_empty()).then_some(Self { data, framed: None })
        })
    }
}

impl Item for Chunk {
    fn cost(&self) -> u64 {
        self.data.len() as u64
    }

    fn cut(&mut self, most: u64) -> Option<Self> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let data = self.data.split_to(most.min(self.data.len()));
        self.framed = None;
        (!data.is_empty()).then_some(Self { data, framed: None })
    }

    fn join(&mut self, following: &Self) -> bool {
        let length = self.data.len() + following.data.len();
        if length > 4 * FEW {
            return false;
        }
        self.data = [&self.data[..], &following.data].concat().into();
        self.framed = None;
        true
    }
}

impl Frames for Chunk {
    fn frames(self) -> (Bytes, Option<Bytes>) {
        if let Some(framed) = self.framed {
            return (framed, None);
        }
        let (header, used) = wire::header(self.data.len());
        (Bytes::copy_from_slice(&header[..used]), Some(self.data))
    }
}

/// Bytes that were copied from the user, with room for a header before them.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    buffer: BytesMut,
}

impl Copied {
    /// Copies as many bytes as one message takes, and tells how many. `busy`: others wait to be sent before them, so that more
    /// of them are likely to come in time.
    fn copy(&mut self, data: &[u8], busy: bool) -> usize {
        if self.buffer.is_empty() {
            let room = if busy { ROOM } else { 0 };
            let room = data.len().clamp(room, CHUNK);
            self.buffer = BytesMut::with_capacity(HEADROOM + room);
            self.buffer.resize(HEADROOM, 0);
        }
        let room = HEADROOM + CHUNK - self.buffer.len();
        let part = &data[..data.len().min(room)];
        self.buffer.extend_from_slice(part);
        part.len()
    }
}

impl Staging for Copied {
    type Item = Chunk;

    fn cost(&self) -> u64 {
        self.buffer.len().saturating_sub(HEADROOM) as u64
    }

    fn take(&mut self) -> Option<Chunk> {
        if self.buffer.is_empty() {
            return None;
        }
        let length = self.buffer.len() - HEADROOM;
        let (header, used) = wire::header(length);
        let start = HEADROOM - used;
        self.buffer[start..HEADROOM].copy_from_slice(&header[..used]);
        let buffer = std::mem::take(&mut self.buffer);
        // What is kept is not much more than its own bytes.
        let framed = if buffer.capacity() > 4 * buffer.len() {
            Bytes::copy_from_slice(&buffer[start..])
        } else {
            buffer.freeze().slice(start..)
        };
        let data = framed.slice(used..);
        Some(Chunk {
            data,
            framed: Some(framed),
        })
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn decoded(chunk: Chunk) -> Bytes {
        let (first, second) = chunk.frames();
        let wire = [first, second.unwrap_or_default()].concat();
        let request = StreamRequest::decode(&wire[5..]).unwrap();
        match request.message {
            Some(Request::Data(data)) => data,
            message => panic!("{message:?}"),
        }
    }

    #[test]
    fn copied_bytes_go_out_in_one_frame_with_their_header() {
        let mut copied = Copied::default();
        assert!(copied.take().is_none());
        assert_eq!(copied.copy(b"hello ", false), 6);
        assert_eq!(copied.copy(b"world", true), 5);
        assert_eq!(copied.cost(), 11);
        let chunk = copied.take().unwrap();
        assert_eq!(copied.cost(), 0);
        assert!(chunk.clone().frames().1.is_none());
        assert_eq!(decoded(chunk), "hello world");
        let long = vec![7; CHUNK + 5];
        assert_eq!(copied.copy(&long, false), CHUNK);
        assert_eq!(copied.copy(&long, false), 0);
        assert_eq!(decoded(copied.take().unwrap()), long[..CHUNK]);
    }

    #[test]
    fn given_bytes_go_out_as_they_are_and_parts_with_headers_of_their_own() {
        let data = Bytes::from(vec![7; MESSAGE + 1]);
        let chunks: Vec<_> = Chunk::of(data.clone()).collect();
        assert_eq!(chunks.len(), 2);
        let (_, second) = chunks[0].clone().frames();
        assert_eq!(second.unwrap().as_ptr(), data.as_ptr());

        let mut copied = Copied::default();
        copied.copy(b"hello", false);
        let mut chunk = copied.take().unwrap();
        let mut first = chunk.cut(2).unwrap();
        assert_eq!(decoded(first.clone()), "he");
        assert_eq!(decoded(chunk.clone()), "llo");
        assert!(first.join(&chunk));
        assert_eq!(decoded(first), "hello");
    }
}
