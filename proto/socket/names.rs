//! The names of domains, types, protocols and directions, and how they are looked up.

use super::{Domain, Protocol, ShutdownHow, SocketType};
use crate::{Violation, v1, violation::quoted};

/// One named value: in the domain, on the wire, its short name, its C name.
pub(super) type Row<D, W> = (D, W, &'static str, &'static str);

pub(super) const DOMAINS: [Row<Domain, v1::Domain>; 6] = {
    use {Domain as D, v1::Domain as W};
    [
        (D::Unix, W::Unix, "unix", "AF_UNIX"),
        (D::Inet, W::Inet, "inet", "AF_INET"),
        (D::Inet6, W::Inet6, "inet6", "AF_INET6"),
        (D::Vsock, W::Vsock, "vsock", "AF_VSOCK"),
        (D::Packet, W::Packet, "packet", "AF_PACKET"),
        (D::Netlink, W::Netlink, "netlink", "AF_NETLINK"),
    ]
};

pub(super) const TYPES: [Row<SocketType, v1::SocketType>; 4] = {
    use {SocketType as D, v1::SocketType as W};
    [
        (D::Stream, W::Stream, "stream", "SOCK_STREAM"),
        (D::Dgram, W::Dgram, "dgram", "SOCK_DGRAM"),
        (D::Seqpacket, W::Seqpacket, "seqpacket", "SOCK_SEQPACKET"),
        (D::Raw, W::Raw, "raw", "SOCK_RAW"),
    ]
};

// Linux's IPPROTO_IP is the number 0 too, but "the usual one" is what 0 means to socket(2).
pub(super) const PROTOCOLS: [Row<Protocol, v1::Protocol>; 9] = {
    use {Protocol as D, v1::Protocol as W};
    [
        (D::Default, W::Unspecified, "default", "0"),
        (D::Icmp, W::Icmp, "icmp", "IPPROTO_ICMP"),
        (D::Tcp, W::Tcp, "tcp", "IPPROTO_TCP"),
        (D::Udp, W::Udp, "udp", "IPPROTO_UDP"),
        (D::Icmpv6, W::Icmpv6, "icmpv6", "IPPROTO_ICMPV6"),
        (D::Sctp, W::Sctp, "sctp", "IPPROTO_SCTP"),
        (D::Udplite, W::Udplite, "udplite", "IPPROTO_UDPLITE"),
        (D::Raw, W::Raw, "raw", "IPPROTO_RAW"),
        (D::Mptcp, W::Mptcp, "mptcp", "IPPROTO_MPTCP"),
    ]
};

pub(super) const SHUTDOWNS: [Row<ShutdownHow, v1::ShutdownHow>; 3] = {
    use {ShutdownHow as D, v1::ShutdownHow as W};
    [
        (D::Read, W::Read, "read", "SHUT_RD"),
        (D::Write, W::Write, "write", "SHUT_WR"),
        (D::Both, W::Both, "both", "SHUT_RDWR"),
    ]
};

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
