//! Control messages, laid out and read back as cmsg(3) describes them.

use std::{
    mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::RawFd,
    time::{Duration, UNIX_EPOCH},
};

use super::address;
use crate::{call::Ctl, control_text as text, outcome::Control};

const HEADER: usize = mem::size_of::<libc::cmsghdr>();

fn align(length: usize) -> usize {
    length.next_multiple_of(mem::size_of::<usize>())
}

/// The control buffer that holds `messages`.
pub(super) fn encode(messages: &[Ctl<RawFd>]) -> Vec<u8> {
    let mut buffer = Vec::new();
    for message in messages {
        let (level, kind, data) = match message {
            Ctl::Rights(fds) => (
                libc::SOL_SOCKET,
                libc::SCM_RIGHTS,
                fds.iter().flat_map(|fd| fd.to_ne_bytes()).collect(),
            ),
            Ctl::Credentials => {
                let (pid, uid, gid) = text::own_credentials();
                let mut data = pid.to_ne_bytes().to_vec();
                data.extend(uid.to_ne_bytes());
                data.extend(gid.to_ne_bytes());
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS, data)
            }
            Ctl::Int(level, kind, value) => (*level, *kind, value.to_ne_bytes().to_vec()),
            Ctl::Segment(size) => (
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                size.to_ne_bytes().to_vec(),
            ),
            Ctl::PacketInfo(index, source) => {
                let mut data = index.to_ne_bytes().to_vec();
                data.extend(source.octets());
                data.extend([0; 4]);
                (libc::SOL_IP, libc::IP_PKTINFO, data)
            }
            Ctl::PacketInfo6(index, source) => {
                let mut data = source.octets().to_vec();
                data.extend(index.to_ne_bytes());
                (libc::SOL_IPV6, libc::IPV6_PKTINFO, data)
            }
            Ctl::Raw(level, kind, data) => (*level, *kind, data.clone()),
        };
        buffer.extend((HEADER + data.len()).to_ne_bytes());
        buffer.extend(level.to_ne_bytes());
        buffer.extend(kind.to_ne_bytes());
        buffer.extend(&data);
        buffer.resize(align(buffer.len()), 0);
    }
    buffer
}

/// The messages in what the kernel left of a control buffer.
pub(super) fn decode(mut buffer: &[u8]) -> Vec<Control<RawFd>> {
    let mut messages = Vec::new();
    while buffer.len() >= HEADER {
        let length = usize::from_ne_bytes(*buffer.first_chunk().expect("a header is longer"));
        let level = int(buffer, 8);
        let kind = int(buffer, 12);
        assert!(length >= HEADER, "the kernel wrote a cmsg_len of {length}");
        let end = length.min(buffer.len());
        messages.push(message(level, kind, &buffer[HEADER..end]));
        buffer = buffer.get(align(end)..).unwrap_or_default();
    }
    messages
}

fn message(level: i32, kind: i32, data: &[u8]) -> Control<RawFd> {
    let seconds = |at: usize| {
        let seconds = i64::from_ne_bytes(*data[at..].first_chunk().expect("a timespec"));
        let fraction = i64::from_ne_bytes(*data[at + 8..].first_chunk().expect("a timespec"));
        (
            u64::try_from(seconds).expect("now is past 1970"),
            u32::try_from(fraction).expect("a fraction of a second"),
        )
    };
    let stamp = |at: usize, unit: u32| {
        let (seconds, fraction) = seconds(at);
        UNIX_EPOCH + Duration::new(seconds, fraction * unit)
    };
    Control::Text(match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
            return Control::Rights(data.chunks_exact(4).map(|fd| int(fd, 0)).collect());
        }
        (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {
            return error(data);
        }
        (libc::SOL_IP, libc::IP_ORIGDSTADDR) | (libc::SOL_IPV6, libc::IPV6_ORIGDSTADDR) => {
            return Control::OriginalDestination(ip(data).expect("an internet address"));
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
            text::credentials(int(data, 0), unsigned(data, 4), unsigned(data, 8))
        }
        (libc::SOL_SOCKET, libc::SCM_TIMESTAMP) => text::timestamp("timestamp", stamp(0, 1_000)),
        (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => text::timestamp("timestampns", stamp(0, 1)),
        (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
            let taken = |at| (seconds(at) != (0, 0)).then(|| stamp(at, 1));
            text::timestamping(taken(0), taken(32))
        }
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => text::number("overflow", unsigned(data, 0)),
        (libc::SOL_IP, libc::IP_TTL) => text::number("ttl", int(data, 0)),
        // The kernel gives IP_TOS in one byte.
        (libc::SOL_IP, libc::IP_TOS) => text::number("tos", data[0]),
        (libc::SOL_IPV6, libc::IPV6_HOPLIMIT) => text::number("hoplimit", int(data, 0)),
        (libc::SOL_IPV6, libc::IPV6_TCLASS) => text::number("tclass", int(data, 0)),
        (libc::SOL_UDP, libc::UDP_GRO) => text::number("gro", int(data, 0)),
        (libc::SOL_IP, libc::IP_PKTINFO) => {
            let host = |at: usize| Ipv4Addr::from(*data[at..].first_chunk::<4>().expect("in_addr"));
            text::packet_info(unsigned(data, 0), host(4), host(8))
        }
        (libc::SOL_IPV6, libc::IPV6_PKTINFO) => text::packet_info6(
            Ipv6Addr::from(*data.first_chunk::<16>().expect("in6_addr")),
            unsigned(data, 16),
        ),
        _ => text::raw(level, kind, data),
    })
}

/// struct sock_extended_err, and the offender's address behind it.
fn error(data: &[u8]) -> Control<RawFd> {
    Control::Error {
        errno: unsigned(data, 0),
        origin: data[4],
        kind: data[5],
        code: data[6],
        info: unsigned(data, 8),
        data: unsigned(data, 12),
        offender: ip(&data[16..]),
    }
}

fn ip(sockaddr: &[u8]) -> Option<SocketAddr> {
    address::decode(sockaddr)?.as_ip()
}

fn int(data: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(*data[at..].first_chunk().expect("an int"))
}

fn unsigned(data: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(*data[at..].first_chunk().expect("an unsigned int"))
}
