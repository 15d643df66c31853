//! farsock: sockets on any host, from a shell.
fn main() {}
