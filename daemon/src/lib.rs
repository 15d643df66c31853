//! farsockd as a library: it owns real kernel sockets and hands them out as handles over gRPC.

mod blocking;
mod closing;
pub mod config;
mod door;
mod embedded;
mod engine;
mod error;
mod essential;
mod flow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod id_set;
mod journal;
pub mod listener;
pub mod log;
mod memory;
mod operation;
pub mod reload;
mod resolver;
pub mod server;
mod session;
pub mod shutdown;
pub mod signals;
mod socket;
mod sync;
mod sys;
mod table;

pub use embedded::{Embedded, embedded};
pub use essential::EssentialEnded;

/// Raises this process's soft limit of open descriptors to its hard one. For farsockd: a program that embeds the daemon decides
/// for itself. A limit that cannot be raised stays as it is.
pub fn raise_descriptor_limit() {
    let _ = sys::process::raise_descriptor_limit();
}

/// Lets this process's allocator keep the memory of bulk data instead of giving it back to the kernel chunk by chunk. For farsockd, as
/// above.
pub fn keep_freed_memory() {
    sys::process::keep_freed_memory();
}
