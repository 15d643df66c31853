//! The doors: where requests come in. A door checks and converts a request, executes the operation, and converts its answer back.
//!
//! Nothing below this module names tonic or prost.

pub(crate) mod host;
pub(crate) mod journal;
pub(crate) mod reflection;
pub(crate) mod session;
mod status;
pub(crate) mod stream;
mod unary;
pub(crate) mod verb;

pub(crate) use unary::socket_service;
