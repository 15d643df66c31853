//! Sessions and the operation stream: against a daemon that is told what to say, and against a real
//! one behind connections that break.

mod cancel;
mod cut;
mod drops;
mod expiry;
mod fake;
mod net;
#[path = "../support/pipes.rs"]
mod pipes;
mod reattach;
mod setup;
mod waiting;
