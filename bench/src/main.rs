//! farsock-bench.
fn main() {}
