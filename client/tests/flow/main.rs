//! Bulk data: against a daemon that is told what to say, and against the real one.

mod bytes;
mod cut;
mod fake;
mod incoming;
mod others;
mod pattern;
mod pipe;
mod told;
mod world;
