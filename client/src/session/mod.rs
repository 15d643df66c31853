//! Sessions: sockets that live as long as their client. Each call about them is a file beside this
//! one; their operations are the business of [`crate::stream`].

mod close;
pub(crate) mod list;
pub(crate) mod open;
mod renew;
pub(crate) mod state;
