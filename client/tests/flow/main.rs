//! Bulk data: against a daemon that is told what to say, and against the real one.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, in its helpers as well"
)]

mod bytes;
mod cut;
mod cut_datagrams;
mod datagram_errors;
mod datagrams;
mod fake;
mod incoming;
mod others;
mod pattern;
#[path = "../support/pipes.rs"]
mod pipes;
mod reset;
mod told;
mod world;
