//! See `fuzz/`: any bytes are a request that is refused or one that is converted.

use farsock_proto::{codec, v1};
use prost::{Message, Name};

use super::any;

pub(crate) fn requests(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => decoded::<v1::StreamRequest>(data),
        1 => decoded::<v1::DatagramsRequest>(data),
        2 => decoded::<v1::AcceptManyRequest>(data),
        3 => decoded::<v1::ResolveRequest>(data),
        4 => decoded::<v1::OpenSessionRequest>(data),
        _ => decoded::<v1::OperateRequest>(data),
    };
    if let Ok(operation) = codec::decode::<v1::Operation>(data)
        && let Some(request) = operation.request
    {
        // Refused or taken: a violation names its field.
        if let Err(violation) = any::converted(request) {
            assert!(!violation.description.is_empty());
        }
    }
}

/// What is decoded is encoded as what is decoded as the same.
fn decoded<T: Message + Name + Default + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Ok(message) = codec::decode::<T>(data) {
        let again = codec::decode::<T>(message.encode_to_vec().as_slice());
        assert_eq!(again.as_ref(), Ok(&message));
    }
}
