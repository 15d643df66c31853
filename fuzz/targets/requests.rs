//! Requests: the codec, and the conversion of each call.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| farsock_daemon::fuzzing::requests(data));
