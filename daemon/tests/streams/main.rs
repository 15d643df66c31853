//! Bulk data through a real daemon, as any gRPC client sees it.

mod accept_many;
mod bad_input;
mod bounds;
mod bytes;
mod datagrams;
mod error_queue;
mod exclusive;
mod journal;
mod low_water;
mod memory;
mod resume;
mod slow_readers;
mod support;
