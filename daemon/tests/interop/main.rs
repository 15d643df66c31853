//! Other people's clients against a real farsockd, over TCP and over its unix socket: Python's grpcio, `buf curl` and grpcurl, and
//! the README's grpcurl session as printed.
//!
//! None of them is needed to build farsock. A test whose client is missing says so and passes, unless CI=true: there it fails.

mod buf;
mod daemon;
mod grpcio;
mod grpcurl;
mod readme;
mod tools;
mod transcript;
