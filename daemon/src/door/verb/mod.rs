//! Each verb's request and response, to and from its operation. Checks what the API's comments promise; what remains is the kernel's
//! to judge.

mod accept;
pub(super) mod any;
mod bind;
mod close;
mod connect;
mod create_socket;
mod create_socket_pair;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod get_option;
mod get_peer_name;
mod get_socket;
mod get_socket_name;
mod list_sockets;
mod listen;
mod poll;
mod recv;
mod recv_from;
pub(super) mod recv_messages;
mod send;
pub(super) mod send_messages;
mod send_to;
mod set_option;
mod shutdown;
mod splice;

use std::time::Duration;

use farsock_proto::{
    Violation,
    address::Address,
    socket::{Domain, Protocol, SocketType},
    time, v1,
};

use crate::operation::{self, MAX_PAYLOAD, Operation};

/// A request message of the wire.
pub(super) trait Verb: Sized + Send {
    /// What it asks for.
    type Operation: Operation;
    /// What answers it.
    type Response;

    /// The operation, taken out of the request as far as possible.
    fn operation(&mut self) -> Result<Self::Operation, Violation>;

    /// The response to this request.
    fn response(self, output: <Self::Operation as Operation>::Output) -> Self::Response;
}

/// A field that must be present.
fn required<T>(field: Option<T>, name: &str, what: &str) -> Result<T, Violation> {
    field.ok_or_else(|| Violation::new(name, format!("is missing: give {what}")))
}

/// The field `address`, which must be present.
fn address(field: Option<v1::Address>) -> Result<Address, Violation> {
    let wire = required(
        field,
        "address",
        "ip, unix, vsock, raw, unspecified or text",
    )?;
    Address::from_wire(wire, &operation::interface_index).map_err(|v| v.within("address"))
}

/// The field `address`, which may be absent.
fn optional_address(field: Option<v1::Address>) -> Result<Option<Address>, Violation> {
    field.map(|wire| address(Some(wire))).transpose()
}

/// The field `timeout`.
fn timeout(field: Option<prost_types::Duration>) -> Result<Option<Duration>, Violation> {
    field
        .map(time::duration_from_wire)
        .transpose()
        .map_err(|v| v.within("timeout"))
}

/// A domain by name.
fn domain(value: i32) -> Result<Domain, Violation> {
    Domain::from_wire(value).map_err(|v| v.within("domain"))
}

/// A type by name.
fn socket_type(value: i32) -> Result<SocketType, Violation> {
    SocketType::from_wire(value).map_err(|v| v.within("type"))
}

/// A protocol by name.
fn protocol(value: i32) -> Result<Protocol, Violation> {
    Protocol::from_wire(value).map_err(|v| v.within("protocol"))
}

/// A number within `0..=most`, or `default` if it is absent.
pub(super) fn bounded(
    field: Option<i64>,
    name: &str,
    default: usize,
    least: usize,
    most: usize,
) -> Result<usize, Violation> {
    let Some(value) = field else {
        return Ok(default);
    };
    usize::try_from(value)
        .ok()
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| Violation::new(name, format!("{value} is not within {least}-{most}")))
}

/// The field `page_size` of a list.
pub(super) fn page_size(value: i32, default: usize, most: usize) -> Result<usize, Violation> {
    let size = bounded(Some(value.into()), "page_size", 0, 0, most)?;
    Ok(if size == 0 { default } else { size })
}

/// The field `length` of a receive.
fn length(field: Option<i64>) -> Result<usize, Violation> {
    bounded(field, "length", DEFAULT_LENGTH, 0, MAX_PAYLOAD)
}

/// Room for a receive that names none: the largest UDP datagram fits.
const DEFAULT_LENGTH: usize = 65_536;

/// A payload of at most MAX_PAYLOAD bytes.
fn payload(field: &str, data: bytes::Bytes) -> Result<bytes::Bytes, Violation> {
    if data.len() > MAX_PAYLOAD {
        return Err(Violation::new(
            field,
            format!("{} bytes are over {MAX_PAYLOAD}", data.len()),
        ));
    }
    Ok(apart(&data))
}

/// Bytes as a copy: a slice of what they were decoded from would keep all that came with them for as long as the operation waits.
fn apart(data: &bytes::Bytes) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(data)
}
