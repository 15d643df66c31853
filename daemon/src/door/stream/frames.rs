//! gRPC's framing of a stream of bytes, both ways, without a copy of the bytes.
//!
//! A message is a byte that says whether it is compressed, its length in four bytes, and its encoding. The one that carries bytes is
//! field 1 alone: a tag, a length, the bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use farsock_proto::{Violation, codec::MAX_MESSAGE_BYTES};
use prost::Message;
use tonic::{Code, Status};

use crate::{door::status, flow::HEADROOM};

/// The length of a message's prefix.
const PREFIX: usize = 5;
/// The tag of field 1 with a length: `data` of StreamRequest and of StreamResponse.
const DATA: u8 = 0x0a;
/// The longest tag and length that tell whether a message is bytes alone: a varint of four bytes counts all that a message may have.
const START: usize = 1 + 4;
/// The most bytes that one message may carry, as the API says.
const MAX_BYTES: usize = 4_194_000;

/// What the client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next piece of a message's bytes.
    Data(Bytes),
    /// A whole message.
    Message(Bytes),
}

/// Takes the client's frames apart as they arrive.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// Whether bytes are passed on before their message is whole.
    bytes: bool,
    /// The largest message that is not bytes.
    most: usize,
}

#[derive(Debug)]
enum State {
    /// Within a prefix.
    Prefix(Start<PREFIX>),
    /// Within a message's tag and length.
    Start(usize, Start<START>),
    /// Within bytes, of which so many are to come.
    Data(usize),
    /// Within a message that is collected, of which so many bytes are to come.
    Message(usize, BytesMut),
}

/// The first bytes of something.
#[derive(Debug)]
struct Start<const N: usize> {
    bytes: [u8; N],
    count: usize,
}

impl<const N: usize> Start<N> {
    const EMPTY: Self = Self {
        bytes: [0; N],
        count: 0,
    };

    fn push(&mut self, byte: u8) -> &[u8] {
        self.bytes[self.count] = byte;
        self.count += 1;
        &self.bytes[..self.count]
    }
}

impl Frames {
    /// The frames of Stream: bytes are passed on, and all else is at most 64 KiB.
    pub(super) fn of_bytes() -> Self {
        Self {
            state: State::Prefix(Start::EMPTY),
            bytes: true,
            most: 64 << 10,
        }
    }

    /// Frames of whole messages.
    pub(super) fn of_messages() -> Self {
        Self {
            bytes: false,
            most: MAX_MESSAGE_BYTES,
            ..Self::of_bytes()
        }
    }

    /// Whether the last message is whole.
    pub(super) fn is_between(&self) -> bool {
        matches!(&self.state, State::Prefix(start) if start.count == 0)
    }

    /// Takes the next event out of `frame`; none when it is used up.
    pub(super) fn next(&mut self, frame: &mut Bytes) -> Result<Option<Event>, Status> {
        loop {
            match &mut self.state {
                State::Message(0, message) => {
                    let message = message.split().freeze();
                    self.state = State::Prefix(Start::EMPTY);
                    return Ok(Some(Event::Message(message)));
                }
                State::Data(0) => self.state = State::Prefix(Start::EMPTY),
                _ if frame.is_empty() => return Ok(None),
                State::Prefix(start) => {
                    let byte = frame.get_u8();
                    if start.push(byte).len() == PREFIX {
                        let [compressed, length @ ..] = start.bytes;
                        self.state = self.begin(compressed, u32::from_be_bytes(length))?;
                    }
                }
                State::Start(length, start) => {
                    let length = *length;
                    let byte = frame.get_u8();
                    let start = start.push(byte);
                    if let Some(next) = continued(length, start, self.most)? {
                        self.state = next;
                    }
                }
                State::Data(rest) => {
                    let piece = frame.split_to(frame.len().min(*rest));
                    *rest -= piece.len();
                    return Ok(Some(Event::Data(piece)));
                }
                State::Message(rest, message) => {
                    let piece = frame.split_to(frame.len().min(*rest));
                    *rest -= piece.len();
                    message.extend_from_slice(&piece);
                }
            }
        }
    }

    /// A message begins.
    fn begin(&self, compressed: u8, length: u32) -> Result<State, Status> {
        if compressed != 0 {
            return Err(status::invalid(&Violation::new(
                "",
                format!(
                    "a message's compressed flag is {compressed}, but must be 0: the call has no grpc-encoding"
                ),
            )));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.bytes && length > 0 {
            check(length, MAX_MESSAGE_BYTES)?;
            return Ok(State::Start(length, Start::EMPTY));
        }
        check(length, self.most)?;
        Ok(State::Message(length, BytesMut::new()))
    }
}

/// What a message of `length` is, of which `start` has arrived; none if that is not enough to tell.
fn continued(length: usize, start: &[u8], most: usize) -> Result<Option<State>, Status> {
    let whole = || State::Message(length - start.len(), BytesMut::from(start));
    if start[0] != DATA {
        check(length, most)?;
        return Ok(Some(whole()));
    }
    let varint = &start[1..];
    let ended = varint.last().is_some_and(|byte| byte & 0x80 == 0);
    if !ended {
        // As long as a varint may be, or the message's end: not bytes alone, or broken.
        let told = start.len() == START || start.len() == length;
        return Ok(told.then(whole));
    }
    let count = varint
        .iter()
        .rev()
        .fold(0, |count, byte| count << 7 | usize::from(byte & 0x7f));
    if start.len() + count != length {
        return Ok(Some(whole()));
    }
    if count > MAX_BYTES {
        let description = format!("{count} bytes are over {MAX_BYTES}");
        return Err(status::invalid(&Violation::new("data", description)));
    }
    Ok(Some(State::Data(count)))
}

fn check(length: usize, most: usize) -> Result<(), Status> {
    if length > most {
        return Err(Status::new(
            Code::OutOfRange,
            format!("a message of {length} bytes is over the limit of {most}"),
        ));
    }
    Ok(())
}

/// Writes what comes before `length` bytes at the end of the room before them, and returns where it begins.
pub(super) fn head(room: &mut [u8], length: usize) -> usize {
    let mut head = [0; HEADROOM];
    let mut rest = &mut head[PREFIX..];
    rest.put_u8(DATA);
    let mut value = length;
    while value >= 0x80 {
        rest.put_u8((value & 0x7f | 0x80).to_le_bytes()[0]);
        value >>= 7;
    }
    rest.put_u8(value.to_le_bytes()[0]);
    let end = HEADROOM - rest.len();
    let message = u32::try_from(end - PREFIX + length).expect("a chunk has at most some 100 KiB");
    head[1..PREFIX].copy_from_slice(&message.to_be_bytes());
    let start = room.len() - end;
    room[start..].copy_from_slice(&head[..end]);
    start
}

/// What comes before `length` bytes, by itself.
pub(super) fn head_alone(length: usize) -> Bytes {
    let mut room = [0; HEADROOM];
    let start = head(&mut room, length);
    Bytes::copy_from_slice(&room[start..])
}

/// A message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("messages are far below 4 GiB"));
    message
        .encode(&mut frame)
        .expect("a BytesMut has room for any message");
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use farsock_proto::v1::{StreamRequest, StreamResponse, stream_request, stream_response};

    use super::*;

    fn data(bytes: &[u8]) -> Bytes {
        let data = stream_request::Message::Data(Bytes::copy_from_slice(bytes));
        framed(&StreamRequest {
            message: Some(data),
        })
    }

    fn all(frames: &mut Frames, pieces: &[&[u8]]) -> Result<Vec<Event>, Status> {
        let mut events = Vec::new();
        for piece in pieces {
            let mut frame = Bytes::copy_from_slice(piece);
            while let Some(event) = frames.next(&mut frame)? {
                events.push(event);
            }
        }
        Ok(events)
    }

    #[test]
    fn bytes_are_passed_on_as_they_arrive_wherever_the_frames_are_cut() {
        let payload: Vec<u8> = (0..300u32).map(|n| n.to_le_bytes()[0]).collect();
        let credit = framed(&StreamRequest {
            message: Some(stream_request::Message::Credit(Default::default())),
        });
        let wire = [&data(&payload)[..], &data(b""), &credit, &data(b"end")].concat();
        for size in 1..wire.len() {
            let pieces: Vec<&[u8]> = wire.chunks(size).collect();
            let mut frames = Frames::of_bytes();
            let (mut bytes, mut messages) = (Vec::new(), 0);
            for event in all(&mut frames, &pieces).unwrap() {
                match event {
                    Event::Data(piece) => bytes.extend_from_slice(&piece),
                    Event::Message(message) => {
                        assert_eq!(message, credit.slice(PREFIX..));
                        messages += 1;
                    }
                }
            }
            assert_eq!(bytes, [&payload[..], b"end"].concat());
            assert_eq!(messages, 1);
            assert!(frames.is_between());
        }
    }

    #[test]
    fn bytes_with_other_fields_beside_them_come_as_a_whole_message() {
        let unknown = [&[0, 0, 0, 0, 8, 0x0a, 3, 1, 2, 3, 0x78, 1, 0][..]].concat();
        let mut frames = Frames::of_bytes();
        // A message with a field that nobody knows, and the first byte of the next prefix.
        let events = all(&mut frames, &[&unknown]).unwrap();
        assert_eq!(
            events,
            [Event::Message(Bytes::copy_from_slice(&unknown[5..]))]
        );
        let broken = [0, 0, 0, 0, 2, 0x0a, 0x80];
        let events = all(&mut Frames::of_bytes(), &[&broken]).unwrap();
        assert_eq!(
            events,
            [Event::Message(Bytes::copy_from_slice(&broken[5..]))]
        );
        let empty = all(&mut Frames::of_bytes(), &[&[0; 5]]).unwrap();
        assert_eq!(empty, [Event::Message(Bytes::new())]);
    }

    #[test]
    fn what_is_too_large_or_compressed_is_refused_before_it_is_read() {
        let refused = |wire: &[u8]| all(&mut Frames::of_bytes(), &[wire]).unwrap_err().code();
        assert_eq!(refused(&[1, 0, 0, 0, 1]), Code::InvalidArgument);
        assert_eq!(refused(&[0, 0xff, 0xff, 0xff, 0xff]), Code::OutOfRange);
        // A credit of 100,000 bytes.
        assert_eq!(refused(&[0, 0, 1, 0x86, 0xa0, 0x1a]), Code::OutOfRange);
        // 4,194,001 bytes.
        let wire = [0, 0x00, 0x3f, 0xfe, 0xd6, 0x0a, 0xd1, 0xfd, 0xff, 0x01];
        assert_eq!(refused(&wire), Code::InvalidArgument);
    }

    #[test]
    fn the_head_is_what_the_generated_code_would_write() {
        for length in [1, 127, 128, 300, 16_383, 16_384, 262_144] {
            let payload = Bytes::from(vec![7; length]);
            let message = Some(stream_response::Message::Data(payload.clone()));
            let whole = framed(&StreamResponse { message });
            assert_eq!([&head_alone(length)[..], &payload].concat(), whole);
        }
    }
}
