//! The API's codec: protobuf, but for what the API refuses and protobuf does not mind.

use std::{collections::HashMap, marker::PhantomData};

use bytes::Buf;
use prost::{Message, Name};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    Violation, oneof,
    reason::{DAEMON_DOMAIN, Reason},
};

/// The longest message that a daemon reads, in bytes. A longer one is no operation of its own: it ends its call or its stream with
/// OUT_OF_RANGE.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// tonic's codec, with a decoder that refuses two members of a oneof.
#[derive(Debug)]
pub struct CheckedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CheckedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CheckedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = CheckedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        CheckedDecoder(PhantomData)
    }
}

/// See [`CheckedCodec`].
#[derive(Debug)]
pub struct CheckedDecoder<U>(PhantomData<U>);

impl<U: Message + Name + Default> Decoder for CheckedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // tonic hands over a message whole, in one piece.
        decode(buffer)
            .map(Some)
            .map_err(|violation| refusal(&violation))
    }
}

/// Decodes a message that lies in one piece.
///
/// # Errors
/// Two members of a oneof, or what is no such message.
pub fn decode<U: Message + Name + Default>(encoded: impl Buf) -> Result<U, Violation> {
    oneof::check(U::NAME, encoded.chunk())?;
    U::decode(encoded)
        .map_err(|error| Violation::of_value(format!("the message is no {}: {error}", U::NAME)))
}

/// A malformed request as a status: INVALID_ARGUMENT with `google.rpc.BadRequest`, which names the field.
#[must_use]
pub fn refusal(violation: &Violation) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(
        violation.field.clone(),
        violation.description.clone(),
    );
    details.set_error_info(
        Reason::InvalidRequest.as_str(),
        DAEMON_DOMAIN,
        HashMap::new(),
    );
    Status::with_error_details(Code::InvalidArgument, violation.to_string(), details)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use tonic::Streaming;

    use super::*;
    use crate::v1::CloseRequest;

    /// What the decoder makes of a body with one message, whose bytes are all ASCII.
    fn read(message: &[u8]) -> Result<Option<CloseRequest>, Status> {
        let length = u8::try_from(message.len()).expect("it is short");
        let frame = [&[0, 0, 0, 0, length], message].concat();
        let body = String::from_utf8(frame).expect("it is ASCII");
        let decoder = CheckedCodec::<CloseRequest, CloseRequest>::default().decoder();
        let mut stream = Streaming::new_request(decoder, body, None, Some(MAX_MESSAGE_BYTES));
        let next = pin!(stream.message());
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("all of it is there"),
        }
    }

    #[test]
    fn a_message_is_decoded_and_what_is_none_is_an_invalid_argument() {
        let message = read(&[8, 3]).expect("it is a message");
        assert_eq!(message.map(|message| message.handle), Some(3));

        let status = read(&[8]).expect_err("it is cut off");
        assert_eq!(status.code(), Code::InvalidArgument);
        let request = status.get_details_bad_request().expect("a bad request");
        assert_eq!(request.field_violations.len(), 1);
    }
}
