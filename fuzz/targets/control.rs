//! Control messages, received and to send.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| farsock_daemon::fuzzing::control(data));
