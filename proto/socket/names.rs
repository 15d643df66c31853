//! The names of domains, types, protocols and directions, and how they are looked up.

use super::{Domain, Protocol, ShutdownHow, SocketType};
use crate::{Violation, v1, violation::quoted};

/// One named value: in the domain, on the wire, its short name, its C name.
pub(super) type Row<D, W> = (D, W, &'static str, &'static str);

pub(super) const DOMAINS: [Row<Domain, v1::Domain>; 6] = [
    (Domain::Unix, v1::Domain::Unix, "unix", "AF_UNIX"),
    (Domain::Inet, v1::Domain::Inet, "inet", "AF_INET"),
    (Domain::Inet6, v1::Domain::Inet6, "inet6", "AF_INET6"),
    (Domain::Vsock, v1::Domain::Vsock, "vsock", "AF_VSOCK"),
    (Domain::Packet, v1::Domain::Packet, "packet", "AF_PACKET"),
    (
        Domain::Netlink,
        v1::Domain::Netlink,
        "netlink",
        "AF_NETLINK",
    ),
];

pub(super) const TYPES: [Row<SocketType, v1::SocketType>; 4] = [
    (
        SocketType::Stream,
        v1::SocketType::Stream,
        "stream",
        "SOCK_STREAM",
    ),
    (
        SocketType::Dgram,
        v1::SocketType::Dgram,
        "dgram",
        "SOCK_DGRAM",
    ),
    (
        SocketType::Seqpacket,
        v1::SocketType::Seqpacket,
        "seqpacket",
        "SOCK_SEQPACKET",
    ),
    (SocketType::Raw, v1::SocketType::Raw, "raw", "SOCK_RAW"),
];

// Linux's IPPROTO_IP is the number 0 too, but "the usual one" is what 0 means to socket(2).
pub(super) const PROTOCOLS: [Row<Protocol, v1::Protocol>; 9] = [
    (Protocol::Default, v1::Protocol::Unspecified, "default", "0"),
    (Protocol::Icmp, v1::Protocol::Icmp, "icmp", "IPPROTO_ICMP"),
    (Protocol::Tcp, v1::Protocol::Tcp, "tcp", "IPPROTO_TCP"),
    (Protocol::Udp, v1::Protocol::Udp, "udp", "IPPROTO_UDP"),
    (
        Protocol::Icmpv6,
        v1::Protocol::Icmpv6,
        "icmpv6",
        "IPPROTO_ICMPV6",
    ),
    (Protocol::Sctp, v1::Protocol::Sctp, "sctp", "IPPROTO_SCTP"),
    (
        Protocol::Udplite,
        v1::Protocol::Udplite,
        "udplite",
        "IPPROTO_UDPLITE",
    ),
    (Protocol::Raw, v1::Protocol::Raw, "raw", "IPPROTO_RAW"),
    (
        Protocol::Mptcp,
        v1::Protocol::Mptcp,
        "mptcp",
        "IPPROTO_MPTCP",
    ),
];

pub(super) const SHUTDOWNS: [Row<ShutdownHow, v1::ShutdownHow>; 3] = [
    (ShutdownHow::Read, v1::ShutdownHow::Read, "read", "SHUT_RD"),
    (
        ShutdownHow::Write,
        v1::ShutdownHow::Write,
        "write",
        "SHUT_WR",
    ),
    (
        ShutdownHow::Both,
        v1::ShutdownHow::Both,
        "both",
        "SHUT_RDWR",
    ),
];

pub(super) fn from_wire<D: Copy, W: Copy + Into<i32>>(
    rows: &[Row<D, W>],
    number: i32,
    wanted: &str,
) -> Result<D, Violation> {
    rows.iter()
        .find(|row| row.1.into() == number)
        .map(|row| row.0)
        .ok_or_else(|| {
            Violation::of_value(if number == 0 {
                format!("is missing; name {wanted}")
            } else {
                format!("{number} is not known; name {wanted}")
            })
        })
}

pub(super) fn named<D: Copy + PartialEq, W: Copy>(rows: &[Row<D, W>], value: D) -> Option<W> {
    rows.iter().find(|row| row.0 == value).map(|row| row.1)
}

/// The C name of a value that has a row; the tests hold every value without a number to having one.
pub(super) fn c_name<D: Copy + PartialEq, W>(rows: &[Row<D, W>], value: D) -> &'static str {
    rows.iter()
        .find(|row| row.0 == value)
        .map_or("?", |row| row.3)
}

pub(super) fn parse<D: Copy, W>(
    rows: &[Row<D, W>],
    text: &str,
    by_number: Option<fn(i32) -> D>,
    what: &str,
) -> Result<D, Violation> {
    let by_name = rows
        .iter()
        .find(|row| row.2 == text || row.3 == text)
        .map(|row| row.0);
    by_name
        .or_else(|| Some(by_number?(text.parse().ok()?)))
        .ok_or_else(|| {
            let names: Vec<_> = rows.iter().map(|row| row.2).collect();
            Violation::of_value(format!(
                "{} is no {what}; the names are {}, their C names{}",
                quoted(text),
                names.join(", "),
                if by_number.is_some() {
                    ", and any number"
                } else {
                    ""
                }
            ))
        })
}
