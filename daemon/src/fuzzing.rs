//! What `fuzz/` runs: each function takes any bytes, and panics where what must hold does not. Exists with `--cfg fuzzing` alone.

/// Frames of StreamService.
pub fn frames(data: &[u8]) {
    crate::door::stream::fuzz::frames(data);
}

/// Requests, decoded and converted.
pub fn requests(data: &[u8]) {
    crate::door::verb::fuzz::requests(data);
}

/// Control messages.
pub fn control(data: &[u8]) {
    crate::sys::control::fuzz::control(data);
}

/// Socket options.
pub fn options(data: &[u8]) {
    crate::sys::option::fuzz::options(data);
}
