//! What the client says of a relay.

use farsock_client::{Error, ErrorKind, Spliced, SplicedDirection};

use super::failure;
use crate::outcome::{Failure, Moved, Value};

/// Both directions, of which each error must be of the socket that the call is made on.
pub(super) fn moved(spliced: Spliced, first: u64, second: u64) -> Value<u64> {
    let there = direction(spliced.first_to_second, first, second);
    let back = spliced.second_to_first;
    let back = back.map(|back| direction(back, second, first));
    Value::Spliced([there].into_iter().chain(back).collect())
}

fn direction(told: SplicedDirection, from: u64, to: u64) -> Moved {
    let count = |bytes| usize::try_from(bytes).expect("cases move few bytes");
    Moved {
        bytes: count(told.bytes),
        undelivered: count(told.undelivered),
        error: told.error.map(|error| failed_call(&error, from, to)),
    }
}

fn failed_call(error: &Error, from: u64, to: u64) -> (&'static str, String) {
    if let ErrorKind::Kernel {
        syscall, handle, ..
    } = error.kind()
        && let Failure::Errno(errno) = failure(error)
    {
        let calls = [("recv", from), ("send", to), ("shutdown", to)];
        let known = calls
            .into_iter()
            .find(|(call, on)| syscall == call && *handle == Some(*on));
        if let Some((call, _)) = known {
            return (call, errno);
        }
    }
    ("not the kernel:", format!("{error} ({:?})", error.kind()))
}
