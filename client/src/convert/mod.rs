//! The daemon's answers in domain types, and the checks of what they must hold.
//!
//! [`farsock_proto`] reads what requests may say; replies may say more (what the kernel alone
//! tells), and leave fields out.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use farsock_proto::{
    Violation,
    address::Address,
    message::MessageFlags,
    option::OptionValue,
    time::{duration_from_wire, duration_to_wire, timestamp_from_wire},
    v1,
};

mod control;
mod kind;

pub(crate) use self::{
    control::control_message,
    kind::{Choice, domain, protocol, protocol_by_number, socket_type},
};

/// How many entries of a list to ask for at once: the most that the daemon gives.
pub(crate) const PAGE_SIZE: i32 = 1_000;

/// How long the daemon may wait.
pub(crate) fn timeout(timeout: Option<Duration>) -> Option<prost_types::Duration> {
    timeout.map(duration_to_wire)
}

/// What a length is on the wire. Longer ones than it can say are beyond every daemon's limit just
/// as well.
pub(crate) fn wire_length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// What a count is on the wire; see [`wire_length`].
pub(crate) fn wire_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What must not be absent.
pub(crate) fn present<T>(field: &str, value: Option<T>) -> Result<T, Violation> {
    value.ok_or_else(|| Violation::new(field, "absent"))
}

/// An address that the daemon must tell.
pub(crate) fn address(field: &str, address: Option<v1::Address>) -> Result<Address, Violation> {
    present(field, optional_address(field, address)?)
}

/// An address that the daemon may tell.
pub(crate) fn optional_address(
    field: &str,
    address: Option<v1::Address>,
) -> Result<Option<Address>, Violation> {
    // The daemon's scope ids are numbers; a zone's name would mean nothing here.
    address
        .map(|address| Address::from_wire(address, &|_| None))
        .transpose()
        .map_err(|violation| violation.within(field))
}

/// A numeric IP address.
pub(crate) fn ip(field: &str, text: &str) -> Result<IpAddr, Violation> {
    text.parse()
        .map_err(|_| Violation::new(field, format!("{text:?} is no IP address")))
}

/// A number that must fit where it goes.
pub(crate) fn number<T, N: TryInto<T>>(field: &str, number: N) -> Result<T, Violation> {
    number
        .try_into()
        .map_err(|_| Violation::new(field, "out of range"))
}

/// A moment.
pub(crate) fn time(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<SystemTime, Violation> {
    timestamp_from_wire(present(field, timestamp)?).map_err(|violation| violation.within(field))
}

/// A span of time.
pub(crate) fn span(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Duration, Violation> {
    duration_from_wire(present(field, duration)?).map_err(|violation| violation.within(field))
}

/// The value of an option that was read.
pub(crate) fn option_value(wire: v1::OptionValue) -> Result<OptionValue, Violation> {
    match wire.value {
        // Nothing that a request may set.
        Some(v1::option_value::Value::TcpInfo(info)) => Ok(OptionValue::TcpInfo(info)),
        _ => OptionValue::from_wire(wire, &|_| None),
    }
}

/// Flags of a received message. Those that a newer daemon knows and this client does not are left
/// out.
pub(crate) fn flags(numbers: &[i32]) -> MessageFlags {
    numbers
        .iter()
        .filter_map(|&number| MessageFlags::from_wire(&[number], 0).ok())
        .fold(MessageFlags::NONE, |all, flag| all | flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_the_wire_cannot_say_stay_too_long() {
        assert_eq!(wire_length(0), 0);
        assert_eq!(wire_length(usize::MAX), i64::MAX);
        assert_eq!(wire_count(usize::MAX), i32::MAX);
    }

    #[test]
    fn what_the_daemon_must_tell_and_does_not_is_named() {
        let violation = address("local_address", None).expect_err("absent");
        assert_eq!(violation.to_string(), "local_address: absent");
        let empty = Some(v1::Address::default());
        let violation = address("peer_address", empty).expect_err("without a form");
        assert_eq!(violation.field, "peer_address");
        assert_eq!(optional_address("address", None), Ok(None));
    }

    #[test]
    fn flags_that_are_not_known_are_left_out() {
        let known = v1::MessageFlag::Trunc.into();
        assert_eq!(flags(&[0, known, 99]), MessageFlags::TRUNC);
    }
}
