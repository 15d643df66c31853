//! Which named options this host's kernel knows, as found by asking it.

use std::{io, os::fd::AsFd};

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, IPPROTO_ICMP, IPPROTO_ICMPV6,
    IPPROTO_MPTCP, IPPROTO_UDPLITE, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::{OptionError, get, row::Row, uapi};
use crate::sys::errno::is_shortage;

/// Whether this host's kernel knows an option: reading it on a socket of its level did not end in ENOPROTOOPT. One that can only
/// be set counts as known. One whose sockets the daemon may not create does not.
///
/// Creates up to three sockets each time.
///
/// # Errors
/// Descriptors or memory are short, and what was found without them says nothing.
pub(crate) fn supported(row: &Row) -> io::Result<bool> {
    if row.level == uapi::FCNTL || !row.readable() {
        return Ok(true);
    }
    let mut short = None;
    for home in homes(row.level) {
        match home.socket() {
            Ok(socket) => match get(socket.as_fd(), row, None) {
                Ok(_) => return Ok(true),
                Err(OptionError::Kernel(error)) if is_shortage(&error) => short = Some(error),
                Err(OptionError::Kernel(error)) => {
                    if error.raw_os_error() != Some(libc::ENOPROTOOPT) {
                        return Ok(true);
                    }
                }
                Err(OptionError::Invalid(_)) => {}
            },
            Err(error) if is_shortage(&error) => short = Some(error),
            Err(_) => {}
        }
    }
    match short {
        Some(error) => Err(error),
        None => Ok(false),
    }
}

/// A kind of socket, as socket(2) takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    domain: i32,
    kind: i32,
    protocol: i32,
}

impl Home {
    pub(super) fn socket(self) -> std::io::Result<Socket> {
        let protocol = Some(Protocol::from(self.protocol));
        Socket::new(Domain::from(self.domain), Type::from(self.kind), protocol)
    }
}

/// Sockets that between them have all options of a level.
pub(super) fn homes(level: i32) -> &'static [Home] {
    const fn home(domain: i32, kind: i32, protocol: i32) -> Home {
        Home {
            domain,
            kind,
            protocol,
        }
    }
    match level {
        uapi::SOL_SOCKET => {
            &const {
                [
                    home(AF_INET, SOCK_STREAM, 0),
                    home(AF_UNIX, SOCK_STREAM, 0),
                    home(AF_INET, SOCK_DGRAM, 0),
                ]
            }
        }
        uapi::SOL_IP => {
            &const {
                [
                    home(AF_INET, SOCK_STREAM, 0),
                    home(AF_INET, SOCK_DGRAM, 0),
                    home(AF_INET, SOCK_RAW, IPPROTO_ICMP),
                ]
            }
        }
        uapi::SOL_IPV6 => {
            &const {
                [
                    home(AF_INET6, SOCK_STREAM, 0),
                    home(AF_INET6, SOCK_DGRAM, 0),
                    home(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6),
                ]
            }
        }
        uapi::SOL_TCP | uapi::SOL_TLS => &const { [home(AF_INET, SOCK_STREAM, 0)] },
        uapi::SOL_UDP => &const { [home(AF_INET, SOCK_DGRAM, 0), home(AF_INET6, SOCK_DGRAM, 0)] },
        uapi::SOL_UDPLITE => &const { [home(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)] },
        uapi::SOL_RAW => &const { [home(AF_INET, SOCK_RAW, IPPROTO_ICMP)] },
        uapi::SOL_ICMPV6 => &const { [home(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)] },
        uapi::SOL_MPTCP => &const { [home(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)] },
        uapi::AF_VSOCK => &const { [home(AF_VSOCK, SOCK_STREAM, 0)] },
        uapi::SOL_NETLINK => &const { [home(AF_NETLINK, SOCK_RAW, 0)] },
        uapi::SOL_PACKET => &const { [home(AF_PACKET, SOCK_RAW, 0)] },
        _ => &[],
    }
}
