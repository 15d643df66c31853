//! Payloads: the bytes of a message, which the wire carries as bytes or as text.

use bytes::Bytes;

use crate::v1::{
    outgoing_message, received_message, recv_from_response, recv_response, send_request,
    send_to_request,
};

/// The wire has the same oneof in every message with a payload, each a type of its own.
macro_rules! payloads {
    ($($module:ident),*) => {$(
        impl $module::Payload {
            /// The bytes, text as UTF-8. Nothing is copied.
            #[must_use]
            pub fn into_bytes(self) -> Bytes {
                match self {
                    Self::Data(data) => data,
                    Self::Text(text) => text.into(),
                }
            }
        }

        impl From<$module::Payload> for Bytes {
            fn from(payload: $module::Payload) -> Self {
                payload.into_bytes()
            }
        }
    )*};
}

/// What replies add.
macro_rules! received_payloads {
    ($($module:ident),*) => {$(
        impl $module::Payload {
            /// What was received: text if `as_text` asks for it and it is UTF-8, bytes otherwise.
            /// Bytes that nobody else holds are not copied.
            #[must_use]
            pub fn from_bytes(data: Bytes, as_text: bool) -> Self {
                match as_utf8(data, as_text) {
                    Ok(text) => Self::Text(text),
                    Err(data) => Self::Data(data),
                }
            }
        }
    )*};
}

payloads!(
    send_request,
    send_to_request,
    outgoing_message,
    recv_response,
    recv_from_response,
    received_message
);
received_payloads!(recv_response, recv_from_response, received_message);

/// The text if it is wanted and is UTF-8, or the bytes again.
fn as_utf8(data: Bytes, wanted: bool) -> Result<String, Bytes> {
    if wanted {
        String::from_utf8(data.into()).map_err(|error| error.into_bytes().into())
    } else {
        Err(data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_becomes_bytes_without_a_copy_and_back() {
        let text = "a message".to_owned();
        let place = text.as_ptr();
        let data = send_request::Payload::Text(text).into_bytes();
        assert_eq!(data.as_ptr(), place);
        let recv_response::Payload::Text(text) = recv_response::Payload::from_bytes(data, true)
        else {
            panic!("is UTF-8");
        };
        assert_eq!((text.as_str(), text.as_ptr()), ("a message", place));
    }

    #[test]
    fn nothing_received_is_empty_bytes_or_empty_text_as_asked() {
        assert_eq!(
            recv_response::Payload::from_bytes(Bytes::new(), false),
            recv_response::Payload::Data(Bytes::new())
        );
        assert_eq!(
            recv_response::Payload::from_bytes(Bytes::new(), true),
            recv_response::Payload::Text(String::new())
        );
    }

    proptest! {
        #[test]
        fn no_byte_changes_on_its_way_and_text_is_only_what_was_asked_for(
            data in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)],
            as_text: bool,
        ) {
            let data = Bytes::from(data);
            let payload = received_message::Payload::from_bytes(data.clone(), as_text);
            let is_text = matches!(payload, received_message::Payload::Text(_));
            prop_assert_eq!(is_text, as_text && std::str::from_utf8(&data).is_ok());
            prop_assert_eq!(Bytes::from(payload), data);
        }
    }
}
