//! The farsock API, package `farsock.v1`, and what its two sides share.
//!
//! [`v1`] is the generated code. What the messages mean is said in `proto/farsock/v1/*.proto`;
//! [`FILE_DESCRIPTOR_SET`] holds the same for reflection.
//!
//! The other modules are the domain types: [`address`], [`message`], [`option`], [`socket`],
//! [`time`] and [`payload`], with their conversions from and to the wire. They hold what can be
//! checked without a kernel, so that a request that breaks the API's rules ends in a [`Violation`]
//! that names the field and says what would be right, and never in a panic. Numbers of the daemon's
//! host (families, levels, flags) pass through as they are: only the daemon knows them, and this
//! crate builds anywhere.
//!
//! [`reason`] names the errors, and [`escape`] makes text of unknown origin safe to print.
//!
//! ```
//! use farsock_proto::{address::Address, v1};
//!
//! let address: Address = "[fe80::1%2]:80".parse()?;
//! assert_eq!(address.to_string(), "[fe80::1%2]:80");
//!
//! // Requests may carry text; the daemon reads it and answers with the typed form.
//! let request = v1::Address::from("127.0.0.1:80");
//! let no_interfaces = |_: &str| None;
//! let address = Address::from_wire(request, &no_interfaces)?;
//! assert_eq!(v1::Address::from(address).form, Some(v1::address::Form::Ip(v1::IpAddress {
//!     host: "127.0.0.1".to_owned(),
//!     port: 80,
//!     ..Default::default()
//! })));
//! # Ok::<(), farsock_proto::Violation>(())
//! ```

/// The generated messages, clients and servers. What they mean is said in
/// `proto/farsock/v1/*.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    rustdoc::all,
    reason = "generated code; its documentation is the .proto files' comments"
)]
pub mod v1 {
    tonic::include_proto!("farsock.v1");
}

/// The encoded descriptor set of the API, with comments, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/farsock.v1.bin"));

pub mod address;
pub mod codec;
pub mod escape;
mod from;
pub mod message;
mod oneof;
pub mod option;
pub mod payload;
pub mod reason;
pub mod socket;
#[cfg(test)]
mod strategy;
pub mod time;
mod violation;

pub use violation::Violation;
