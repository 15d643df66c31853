//! Options: values as the kernel gives them, as the API has them, and as text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| farsock_daemon::fuzzing::options(data));
