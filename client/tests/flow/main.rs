//! Bulk data: against a daemon that is told what to say, and against a real one.

mod bytes;
mod cut;
mod fake;
mod pattern;
mod pipe;
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]
mod standin;
mod told;
mod world;
