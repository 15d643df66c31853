//! Addresses as text and as messages: what is read is written as what is read as the same.
#![no_main]

use farsock_proto::{address::Address, codec, v1};
use libfuzzer_sys::fuzz_target;

/// Interfaces have names of one letter here, and their letter's number.
fn zone(name: &str) -> Option<u32> {
    match name.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(u32::from(letter - b'a') + 1),
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((form, data)) = data.split_first() else {
        return;
    };
    let address = if form % 2 == 0 {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        Address::parse(text, &zone)
    } else {
        codec::decode::<v1::Address>(data).and_then(|wire| Address::from_wire(wire, &zone))
    };
    if let Ok(address) = address {
        let text = address.to_string();
        assert_eq!(
            Address::parse(&text, &zone).as_ref(),
            Ok(&address),
            "{text:?}"
        );
        let wire = v1::Address::from(address.clone());
        assert_eq!(Address::from_wire(wire, &zone), Ok(address));
    }
});
