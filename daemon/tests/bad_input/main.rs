//! Bad input: whatever a caller sends, the daemon says which field is wrong, does nothing by half, and goes on.

mod addresses;
mod fuzz;
mod handles;
mod messages;
mod oneof;
mod options;
mod random_request;
mod sockets;
mod support;
