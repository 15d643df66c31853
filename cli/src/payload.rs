//! Payloads: what to send, from the command line, a file or stdin; and what was received, as JSON.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::exit::Failure;

/// More than any daemon takes in one call: what is longer is refused before it fills the memory.
const LONGEST: u64 = 64 << 20;

/// What to send.
#[derive(clap::Args)]
pub(crate) struct PayloadArgs {
    /// What to send; `-` or nothing: stdin up to its end
    #[arg(
        value_name = "TEXT",
        conflicts_with = "data_file",
        allow_hyphen_values = true
    )]
    text: Option<OsString>,
    /// TEXT, or stdin, is hexadecimal: "68656c6c6f"; spaces, colons and line feeds may stand between bytes
    #[arg(long)]
    hex: bool,
    /// Send what a file holds
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
}

impl PayloadArgs {
    /// The bytes. Reads stdin or the file if need be.
    pub(crate) fn read(self) -> Result<Vec<u8>, Failure> {
        let bytes = match (self.text, self.data_file) {
            (_, Some(path)) => File::open(&path)
                .and_then(read_all)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?,
            (Some(text), None) if text != "-" => text.into_encoded_bytes(),
            _ => read_all(io::stdin().lock())
                .map_err(|error| Failure::Usage(format!("stdin: {error}")))?,
        };
        if self.hex {
            return from_hex(&bytes).map_err(Failure::Usage);
        }
        Ok(bytes)
    }
}

/// Adds the payload to a JSON object: `text` if it is UTF-8, `data` in base64 otherwise, as the API names them.
pub(crate) fn to_json(object: &mut serde_json::Map<String, Value>, bytes: &[u8]) {
    let (name, value) = match std::str::from_utf8(bytes) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("data", STANDARD.encode(bytes)),
    };
    object.insert(name.to_owned(), Value::String(value));
    object.insert("length".to_owned(), bytes.len().into());
}

/// Writes "0x" and two hexadecimal digits a byte.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// Reads hexadecimal digits, two a byte, with spaces, colons and line feeds between bytes.
pub(crate) fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high: Option<u8> = None;
    for character in text {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            b'A'..=b'F' => character - b'A' + 10,
            b' ' | b':' | b'\n' | b'\r' | b'\t' if high.is_none() => continue,
            other => {
                return Err(format!(
                    "'{}' is no hexadecimal digit",
                    other.escape_ascii()
                ));
            }
        };
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err("an odd number of hexadecimal digits".to_owned()),
    }
}

fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("longer than {LONGEST} bytes, which no call can send");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_may_have_space_between_bytes_but_not_within() {
        assert_eq!(
            from_hex(b"68:65 6C\n6c6f\n").as_deref(),
            Ok(b"hello".as_ref())
        );
        assert!(from_hex(b"6 8").is_err());
        assert!(from_hex(b"683").is_err());
        assert!(from_hex(b"0x68").is_err());
    }

    #[test]
    fn a_payload_is_text_in_json_if_it_can_be_and_base64_otherwise() {
        let mut object = serde_json::Map::new();
        to_json(&mut object, b"hi");
        assert_eq!(
            Value::from(object).to_string(),
            r#"{"text":"hi","length":2}"#
        );
        let mut object = serde_json::Map::new();
        to_json(&mut object, b"\xff\x00");
        assert_eq!(
            Value::from(object).to_string(),
            r#"{"data":"/wA=","length":2}"#
        );
    }
}
