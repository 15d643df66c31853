//! See `fuzz/`: control messages as the kernel writes them, and as callers send them.

use farsock_proto::{
    codec,
    message::{ControlMessage, Rights},
    v1,
};

use super::{
    decode::{entries, typed},
    encode::encode,
};

pub(crate) fn control(data: &[u8]) {
    let Some((half, data)) = data.split_first() else {
        return;
    };
    if half % 2 == 0 {
        received(data);
    } else {
        sent(data);
    }
}

/// What the kernel writes is read without descriptors, which here would be anybody's.
fn received(data: &[u8]) {
    for entry in entries(data) {
        let Some(message) = typed(entry.level, entry.kind, entry.payload) else {
            continue;
        };
        let Ok(message) = message.map_rights(|_| Err::<Rights, _>("typed, and of descriptors"))
        else {
            panic!("descriptors are read by `decode` alone");
        };
        // What can be sent as well is written as what is read as the same.
        if let Ok(encoded) = encode(&[message.clone()]) {
            let mut again = entries(&encoded);
            let entry = again.next().expect("one message");
            assert!(again.next().is_none());
            let read = typed(entry.level, entry.kind, entry.payload);
            let read = read.and_then(|read| read.map_rights(|_| Err::<Rights, _>(())).ok());
            assert_eq!(read, Some(message));
        }
    }
}

/// What callers send is refused, or makes a buffer that holds as many messages.
fn sent(data: &[u8]) {
    let Ok(message) = codec::decode::<v1::OutgoingMessage>(data) else {
        return;
    };
    let control: Result<Vec<ControlMessage<Rights>>, _> = message
        .control
        .into_iter()
        .map(|wire| ControlMessage::from_wire(wire, &|_| None))
        .collect();
    if let Ok(control) = control
        && let Ok(encoded) = encode(&control)
    {
        assert_eq!(entries(&encoded).count(), control.len());
    }
}
