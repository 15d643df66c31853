//! farsockd: the daemon.
fn main() {}
