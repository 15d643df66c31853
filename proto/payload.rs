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

            /// How many bytes [`into_bytes`](Self::into_bytes) gives.
            #[must_use]
            pub fn length(&self) -> usize {
                match self {
                    Self::Data(data) => data.len(),
                    Self::Text(text) => text.len(),
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

/// Bytes as a C string literal, as strace(1) shows them.
#[must_use]
pub fn c_string(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(byte)),
            // Octal, as strace has it; always three digits, so that a digit may follow.
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('"');
    text
}

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
    fn a_c_string_has_no_byte_that_a_terminal_would_obey() {
        assert_eq!(c_string(b"a\"\\\n\x1b7\xff"), r#""a\"\\\n\0337\377""#);
        assert_eq!(c_string(b""), r#""""#);
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
            prop_assert_eq!(payload.length(), data.len());
            let is_text = matches!(payload, received_message::Payload::Text(_));
            prop_assert_eq!(is_text, as_text && std::str::from_utf8(&data).is_ok());
            prop_assert_eq!(Bytes::from(payload), data);
        }
    }
}
