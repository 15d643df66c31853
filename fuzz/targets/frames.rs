//! The frames of a stream of bulk data, wherever they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| farsock_daemon::fuzzing::frames(data));
