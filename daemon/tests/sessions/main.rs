//! Sessions over a real daemon: what they promise, what they refuse, and what happens when connections and clients end.

mod cut;
mod setup;
mod support;
mod takeover;
