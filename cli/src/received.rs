//! How what was received is printed.

use farsock_client::{Address, MessageFlags, Received};
use farsock_proto::escape;
use serde_json::{Map, Value};

use crate::{
    exit::Failure,
    flags,
    output::{self, Format, Output},
    payload,
};

/// How many bytes a receive takes at most unless told otherwise: the API's own default.
pub(crate) const DEFAULT_LENGTH: usize = 65_536;

/// Prints one received message; `sender` is `None` if it was not asked for.
pub(crate) fn print(
    output: &mut Output,
    received: &Received,
    sender: Option<Option<&Address>>,
) -> Result<(), Failure> {
    match output.format() {
        Format::Raw => output.bytes(&received.data)?,
        Format::Json => output.json(&Value::Object(to_json(received, sender)))?,
        Format::Table => {
            let line = match sender {
                Some(sender) => {
                    let sender = sender.map_or_else(|| "-".to_owned(), Address::to_string);
                    // One line, whatever the message holds: what looks like another sender is not one.
                    let data = received.data.strip_suffix(b"\n");
                    let text = escape::lines(data.unwrap_or(&received.data));
                    format!("{sender} {}", escape::line(&text))
                }
                None => escape::lines(&received.data),
            };
            // An end of stream is not an empty line; a datagram of 0 bytes is.
            if !(received.end_of_stream && received.data.is_empty()) {
                let end = if line.ends_with('\n') { "" } else { "\n" };
                output.bytes(format!("{line}{end}").as_bytes())?;
            }
        }
    }
    if output.format() != Format::Json {
        // In the order in which a terminal is to show them.
        output.flush()?;
        tell(received);
    }
    Ok(())
}

/// The fields of the API's answer, by its names.
pub(crate) fn to_json(received: &Received, sender: Option<Option<&Address>>) -> Map<String, Value> {
    let mut object = Map::new();
    payload::to_json(&mut object, &received.data);
    object.insert("full_length".to_owned(), received.full_length.into());
    object.insert("end_of_stream".to_owned(), received.end_of_stream.into());
    object.insert("flags".to_owned(), flags::names(received.flags).into());
    if let Some(sender) = sender {
        let sender = sender.map(Address::to_string);
        object.insert("address".to_owned(), sender.into());
    }
    object
}

/// Tells on stderr what the bytes alone do not show.
fn tell(received: &Received) {
    if received.end_of_stream {
        output::note("end of stream");
    }
    if received.flags.contains(MessageFlags::TRUNC) {
        let received_length = received.data.len() as u64;
        // With SO_PEEK_OFF the whole length is not known.
        match received.full_length > received_length {
            true => output::note(format_args!(
                "truncated: {received_length} of {} bytes",
                received.full_length
            )),
            false => output::note(format_args!("truncated to {received_length} bytes")),
        }
    }
}
