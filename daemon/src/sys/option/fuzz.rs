//! See `fuzz/`: options by name and by number, as bytes and as text.

use farsock_proto::option::{OptionName, OptionValue};

use super::{call::Filter, decode, encode, refused, table::TABLE, text};

pub(crate) fn options(data: &[u8]) {
    let [form, number, data @ ..] = data else {
        return;
    };
    let row = &TABLE[usize::from(*number) % TABLE.len()];
    match form % 3 {
        0 => {
            if let Some(value) = decode::decode(row.kind, data.to_vec())
                && let Ok(encoded) = encode::encode(row, &value)
            {
                assert_eq!(decode::decode(row.kind, encoded.bytes), Some(value));
            }
        }
        1 => {
            let Ok(words) = std::str::from_utf8(data) else {
                return;
            };
            if let Ok(value) = text::parse(row, words) {
                let shown = value.to_string();
                assert_eq!(text::parse(row, &shown).as_ref(), Ok(&value), "{shown:?}");
                // Out of range, or bytes.
                let _ = encode::encode(row, &value);
            }
            let _ = encode::encode_raw(&OptionValue::Text(words.to_owned()));
            if let Ok(name) = OptionName::parse(words) {
                assert_eq!(OptionName::parse(&name.to_string()), Ok(name));
            }
        }
        _ => {
            let _ = Filter::new(data);
            if let Some((level, rest)) = data.split_first_chunk()
                && let Some((number, _)) = rest.split_first_chunk()
            {
                let (level, number) = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*number));
                // Pointers and descriptors: refused for reading as well as for setting, or for setting alone.
                let _ = refused::check_set(level, number);
                let _ = refused::check_get(level, number);
            }
        }
    }
}
