//! The kernel's edge: one function per system call, and the only `unsafe` of the project.
//!
//! Nothing above this module names libc or nix, and nothing in it waits: every call is made on a non-blocking descriptor (or
//! with MSG_DONTWAIT) and answers at once, EAGAIN included. The log's thread alone waits, in `process::wait_until_writable`.
#![allow(unsafe_code, reason = "this module is unsafe code's one address")]

pub(crate) mod address;
pub(crate) mod control;
pub(crate) mod epoll;
pub(crate) mod errno;
pub(crate) mod host;
pub(crate) mod message;
pub(crate) mod option;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod splice;

#[cfg(test)]
pub(crate) mod testing;
