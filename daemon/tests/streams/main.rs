//! Bulk data through a real daemon, as any gRPC client sees it.

mod bad_input;
mod bounds;
mod bytes;
mod exclusive;
mod resume;
mod support;
