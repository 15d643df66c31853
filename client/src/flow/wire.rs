//! gRPC's framing by hand, so that payloads are not copied: what goes before a payload, and the payloads of what comes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};
use tonic::Status;

/// gRPC's own prefix: a flag for compression, and the length.
const PREFIX: usize = 5;
/// Field 1, with a length: how each message that carries a payload begins.
const PAYLOAD_TAG: u8 = 0x0a;
/// What goes before a payload at most: prefix, tag, and a length of up to 32 bits.
pub(super) const HEADROOM: usize = PREFIX + 1 + 5;

/// The prefix, the tag and the length of a message that is just a payload of `length` bytes.
pub(super) fn header(length: usize) -> ([u8; HEADROOM], usize) {
    let mut bytes = [0; HEADROOM];
    let mut rest = &mut bytes[..];
    let message = 1 + encoded_len_varint(length as u64) + length;
    rest.put_u8(0);
    rest.put_u32(u32::try_from(message).unwrap_or(u32::MAX));
    rest.put_u8(PAYLOAD_TAG);
    encode_varint(length as u64, &mut rest);
    let used = HEADROOM - rest.len();
    (bytes, used)
}

/// A message as gRPC frames it.
pub(super) fn framed<M: prost::Message>(message: &M) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

/// What comes, taken apart.
#[derive(Debug)]
pub(super) enum Piece {
    /// A part of a payload, in order.
    Payload(Bytes),
    /// A whole message of another kind.
    Message(Bytes),
}

/// Takes what comes apart, as it comes.
#[derive(Debug)]
pub(super) struct Parser {
    /// Whether messages that are just field 1 are payloads.
    payloads: bool,
    /// The longest message of another kind.
    longest: usize,
    /// The beginning of a message, or the whole of one that is assembled.
    buffer: BytesMut,
    /// How much of a payload is to come.
    payload: usize,
    /// What came and was not looked at.
    rest: Bytes,
}

impl Parser {
    pub(super) fn new(payloads: bool, longest: usize) -> Self {
        Self {
            payloads,
            longest,
            buffer: BytesMut::new(),
            payload: 0,
            rest: Bytes::new(),
        }
    }

    /// Takes what has come; all pieces of what came before must have been taken.
    pub(super) fn push(&mut self, data: Bytes) {
        debug_assert!(self.rest.is_empty());
        self.rest = data;
    }

    /// The next piece, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Status> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            if self.payload > 0 {
                let part = self.rest.split_to(self.payload.min(self.rest.len()));
                self.payload -= part.len();
                return Ok(Some(Piece::Payload(part)));
            }
            // The prefix, and as much of the message as tells a payload.
            let Some(length) = self.prefix()? else {
                return Ok(None);
            };
            let begun = &self.buffer[PREFIX..];
            if self.payloads && begun.first() == Some(&PAYLOAD_TAG) {
                match payload(begun, length) {
                    Begun::Payload(payload) => {
                        self.buffer.clear();
                        self.payload = payload;
                        continue;
                    }
                    // One byte at a time: at most five of them.
                    Begun::Unknown => {
                        self.fill(self.buffer.len() + 1);
                        continue;
                    }
                    Begun::Other => {}
                }
            }
            if length > self.longest {
                return Err(Status::internal(format!(
                    "the daemon's message is too long: {length} bytes"
                )));
            }
            if self.fill(PREFIX + length) {
                let mut message = self.buffer.split().freeze();
                message.advance(PREFIX);
                return Ok(Some(Piece::Message(message)));
            }
        }
    }

    /// The message's length, if the prefix is there, and a first byte of the message if it has one.
    fn prefix(&mut self) -> Result<Option<usize>, Status> {
        if self.buffer.len() < PREFIX && !self.fill(PREFIX) {
            return Ok(None);
        }
        if self.buffer[0] != 0 {
            return Err(Status::internal("the daemon's message is compressed"));
        }
        let mut length = &self.buffer[1..PREFIX];
        let length = length.get_u32() as usize;
        let first = PREFIX + length.min(1);
        if self.buffer.len() < first && !self.fill(first) {
            return Ok(None);
        }
        Ok(Some(length))
    }

    /// Moves bytes to the buffer until it has so many, if they are there.
    fn fill(&mut self, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.buffer.len());
        let part = self.rest.split_to(missing.min(self.rest.len()));
        self.buffer.extend_from_slice(&part);
        part.len() == missing
    }
}

/// What the beginning of a message is.
enum Begun {
    /// The whole of it is a payload of that length, none of which is in the beginning.
    Payload(usize),
    /// More of it must be seen.
    Unknown,
    Other,
}

fn payload(begun: &[u8], length: usize) -> Begun {
    let varint = &begun[1..];
    // A length has at most five bytes, whose last has no high bit.
    let whole = varint.iter().any(|byte| byte & 0x80 == 0);
    if !whole {
        return if varint.len() < 5 && begun.len() < length {
            Begun::Unknown
        } else {
            Begun::Other
        };
    }
    let mut rest = varint;
    match decode_varint(&mut rest).map(usize::try_from) {
        Ok(Ok(payload)) if rest.is_empty() && begun.len() + payload == length => {
            Begun::Payload(payload)
        }
        _ => Begun::Other,
    }
}

#[cfg(test)]
mod tests {
    use farsock_proto::v1::{self, stream_response::Message};
    use prost::Message as _;

    use super::*;

    fn response(message: Message) -> v1::StreamResponse {
        v1::StreamResponse {
            message: Some(message),
        }
    }

    /// Payloads joined, and other messages, of what comes in parts of `size`.
    fn parsed(wire: &[u8], size: usize) -> (Vec<u8>, Vec<v1::StreamResponse>) {
        let mut parser = Parser::new(true, 1 << 10);
        let (mut payloads, mut messages) = (Vec::new(), Vec::new());
        for part in wire.chunks(size) {
            parser.push(Bytes::copy_from_slice(part));
            while let Some(piece) = parser.next().unwrap() {
                match piece {
                    Piece::Payload(part) => payloads.extend_from_slice(&part),
                    Piece::Message(message) => {
                        messages.push(v1::StreamResponse::decode(message).unwrap());
                    }
                }
            }
        }
        (payloads, messages)
    }

    #[test]
    fn payloads_and_messages_are_told_apart_however_they_are_cut() {
        let data = |length: usize| response(Message::Data(vec![7; length].into()));
        let credit = response(Message::Credit(v1::Credit {
            received: 1 << 40,
            ..v1::Credit::default()
        }));
        let opened = response(Message::Opened(v1::Opened::default()));
        let all = [
            opened.clone(),
            data(1),
            data(127),
            credit.clone(),
            data(128),
            data(0),
            v1::StreamResponse::default(),
            data(70_000),
            opened.clone(),
        ];
        let wire: Vec<u8> = all.iter().flat_map(framed).collect();
        for size in [1, 2, 3, 5, 6, 7, 100, 4_096, wire.len()] {
            let (payloads, messages) = parsed(&wire, size);
            assert_eq!(payloads, vec![7; 1 + 127 + 128 + 70_000], "{size}");
            assert_eq!(
                messages,
                [
                    opened.clone(),
                    credit.clone(),
                    v1::StreamResponse::default(),
                    opened.clone()
                ],
                "{size}"
            );
        }
    }

    #[test]
    fn a_header_is_what_generated_code_writes() {
        for length in [1, 127, 128, 16_383, 16_384, 262_144, 2_097_152] {
            let request = v1::StreamRequest {
                message: Some(v1::stream_request::Message::Data(vec![7; length].into())),
            };
            let (bytes, used) = header(length);
            assert_eq!(bytes[..used], framed(&request)[..used], "{length}");
            assert_eq!(framed(&request).len(), used + length);
        }
    }

    #[test]
    fn a_message_that_is_too_long_or_compressed_is_refused() {
        let mut parser = Parser::new(false, 10);
        parser.push(Bytes::from_static(&[0, 0, 0, 0, 11, 0x0a]));
        assert!(parser.next().is_err());
        let mut parser = Parser::new(true, 10);
        parser.push(Bytes::from_static(&[1, 0, 0, 0, 1, 0x0a]));
        assert!(parser.next().is_err());
        // A payload with another field after it is no payload.
        let mut parser = Parser::new(true, 10);
        parser.push(Bytes::from_static(&[0, 0, 0, 0, 5, 0x0a, 1, 7, 0x20, 0]));
        assert!(matches!(parser.next(), Ok(Some(Piece::Message(_)))));
    }
}
