//! The farsock API, package `farsock.v1`: the generated code in [`v1`], and the domain types that daemon and client share, with
//! their conversions from and to the wire.

/// The generated messages, clients and servers. What they mean is said in `proto/farsock/v1/*.proto`.
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
pub mod message;
pub mod option;
pub mod reason;
pub mod socket;
mod violation;

pub use violation::Violation;
