//! Sessions over a real daemon: what they promise, what they refuse, and what happens when connections and clients end.

mod abort;
mod bad_input;
mod bounds;
mod cut;
mod death;
mod give_back;
mod over;
mod promises;
mod setup;
mod support;
mod takeover;
