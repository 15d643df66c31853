//! How a receive is made, and what its result says of the bytes that the kernel wrote.
//!
//! recv(2) returns how many bytes it wrote, unless it is called with MSG_TRUNC: then it returns the message's length (or, of TCP, what it
//! discarded), and what was written follows from the socket's protocol. The rules are here and nowhere else.

use std::{ffi::c_int, os::fd::BorrowedFd};

use farsock_proto::message::MessageFlags;

use super::{Framing, kernel_flags};
use crate::sys::socket::{Kind, peeks_onward};

/// linux/socket.h; not in libc. It makes TCP count bytes that stay in a device's memory, which nobody here could read.
const MSG_SOCK_DEVMEM: c_int = 0x200_0000;

/// A socket to receive from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbound<'fd> {
    pub(crate) fd: BorrowedFd<'fd>,
    /// What kind of socket it is.
    pub(crate) kind: Kind,
    /// Whether SO_PEEK_OFF may be set. If not, receives without MSG_PEEK need not look.
    pub(crate) may_peek_onward: bool,
}

#[cfg(test)]
impl<'fd> Inbound<'fd> {
    /// A socket of which nothing is known.
    pub(crate) fn of(fd: &'fd impl std::os::fd::AsFd) -> std::io::Result<Self> {
        let fd = fd.as_fd();
        Ok(Self {
            fd,
            kind: crate::sys::socket::kind(fd)?,
            may_peek_onward: true,
        })
    }
}

/// Which bytes of its buffer a receive has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Written {
    /// As many as it returns, or all of the buffer if it returns more.
    #[default]
    Returned,
    /// None: it returns what it discarded.
    Nothing,
    /// At most as many as it returns. The buffer must be zeroed before.
    Unknown,
}

/// How a receive is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    /// The kernel's number for the flags.
    pub(super) flags: c_int,
    pub(super) written: Written,
    /// The call returns a message's whole length and writes what follows SO_PEEK_OFF, which no result reports.
    pub(super) hides_extent: bool,
}

impl Mode {
    pub(super) fn new(inbound: Inbound<'_>, flags: MessageFlags) -> Self {
        let asked = kernel_flags(flags) & !MSG_SOCK_DEVMEM;
        let peeks = asked & libc::MSG_PEEK != 0;
        let looks =
            inbound.kind.framing() == Framing::Message && (peeks || inbound.may_peek_onward);
        Self::of(inbound.kind, asked, looks && peeks_onward(inbound.fd))
    }

    /// For a socket of `kind` that has SO_PEEK_OFF set, or has not.
    fn of(kind: Kind, asked: c_int, peeks_onward: bool) -> Self {
        let asked = asked | libc::MSG_DONTWAIT;
        let peeks = asked & libc::MSG_PEEK != 0;
        let truncates = asked & libc::MSG_TRUNC != 0;
        let written = if !is_known(kind) {
            Written::Unknown
        } else {
            Written::Returned
        };
        match kind.framing() {
            // SO_PEEK_OFF moves by what the call returns: with it set, the caller's flags are all there are.
            Framing::Message if peeks_onward => Self {
                flags: asked,
                written: match peeks && truncates {
                    true => Written::Unknown,
                    false => written,
                },
                hides_extent: peeks && truncates && kind.is_internet(),
            },
            // MSG_TRUNC makes the kernel return the message's whole length. It writes all of that which there is room for, unless a peek
            // begins within the message: SO_PEEK_OFF is set, or whoever else has the socket sets it just now.
            Framing::Message => Self {
                flags: asked | libc::MSG_TRUNC,
                written: match peeks && kind.is_internet() {
                    true => Written::Unknown,
                    false => written,
                },
                hides_extent: false,
            },
            // The error queue is always written.
            Framing::Stream if truncates && asked & libc::MSG_ERRQUEUE == 0 => Self {
                flags: asked,
                written: match kind {
                    kind if kind.is_tcp() || kind.is_mptcp() => Written::Nothing,
                    // It ignores the flag.
                    Kind {
                        domain: libc::AF_UNIX,
                        ..
                    } => Written::Returned,
                    _ => Written::Unknown,
                },
                hides_extent: false,
            },
            Framing::Stream => Self {
                flags: asked,
                written,
                hides_extent: false,
            },
        }
    }

    /// The same without MSG_TRUNC: the call returns what it writes.
    pub(super) fn without_truncation(self) -> Self {
        Self {
            flags: self.flags & !libc::MSG_TRUNC,
            written: Written::Returned,
            hides_extent: false,
        }
    }
}

/// Whether the kernel's code for sockets of that kind is known to return what it writes.
fn is_known(kind: Kind) -> bool {
    matches!(
        kind.domain,
        libc::AF_UNIX
            | libc::AF_INET
            | libc::AF_INET6
            | libc::AF_NETLINK
            | libc::AF_PACKET
            | libc::AF_VSOCK
    )
}

/// Whether recvmsg(2) on such a socket reports a pending error only when nothing is queued. recvmmsg(2) always reports it first.
pub(super) fn data_comes_first(kind: Kind) -> bool {
    let datagrams = matches!(
        kind.domain,
        libc::AF_UNIX | libc::AF_NETLINK | libc::AF_PACKET
    ) || (kind.is_internet() && kind.protocol != libc::IPPROTO_SCTP);
    !(kind.framing() == Framing::Message && datagrams)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEEK: c_int = libc::MSG_PEEK;
    const TRUNC: c_int = libc::MSG_TRUNC;

    fn kind(domain: c_int, kind: c_int, protocol: c_int) -> Kind {
        Kind {
            domain,
            kind,
            protocol,
        }
    }

    fn mode(kind: Kind, flags: c_int, peeks_onward: bool) -> (bool, Written) {
        let mode = Mode::of(kind, flags, peeks_onward);
        assert_eq!(mode.flags & flags, flags);
        assert_ne!(mode.flags & libc::MSG_DONTWAIT, 0);
        (mode.flags & TRUNC != 0, mode.written)
    }

    #[test]
    fn of_messages_the_whole_length_is_asked_for_unless_that_moves_the_offset() {
        let udp = kind(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDP);
        let unix = kind(libc::AF_UNIX, libc::SOCK_DGRAM, 0);
        for kind in [udp, unix] {
            assert_eq!(mode(kind, 0, false), (true, Written::Returned));
            assert_eq!(mode(kind, 0, true), (false, Written::Returned));
            assert_eq!(mode(kind, PEEK, true), (false, Written::Returned));
            assert_eq!(mode(kind, TRUNC, true), (true, Written::Returned));
            assert_eq!(mode(kind, PEEK | TRUNC, true), (true, Written::Unknown));
        }
        assert!(Mode::of(udp, PEEK | TRUNC, true).hides_extent);
        assert!(!Mode::of(unix, PEEK | TRUNC, true).hides_extent);
    }

    #[test]
    fn a_peek_that_returns_a_whole_length_is_made_into_zeros() {
        let udp = kind(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE);
        assert_eq!(mode(udp, PEEK, false), (true, Written::Unknown));
        assert_eq!(mode(udp, PEEK | TRUNC, false), (true, Written::Unknown));
    }

    #[test]
    fn of_a_stream_truncation_discards_or_means_nothing() {
        let stream = |domain, protocol| kind(domain, libc::SOCK_STREAM, protocol);
        let tcp = stream(libc::AF_INET, libc::IPPROTO_TCP);
        let mptcp = stream(libc::AF_INET6, libc::IPPROTO_MPTCP);
        let sctp = stream(libc::AF_INET, libc::IPPROTO_SCTP);
        let unix = stream(libc::AF_UNIX, 0);
        let vsock = stream(libc::AF_VSOCK, 0);
        for (kind, written) in [
            (tcp, Written::Nothing),
            (mptcp, Written::Nothing),
            (sctp, Written::Unknown),
            (unix, Written::Returned),
            (vsock, Written::Unknown),
        ] {
            assert_eq!(mode(kind, TRUNC, false), (true, written), "{kind:?}");
            assert_eq!(mode(kind, PEEK, false), (false, Written::Returned));
            let queue = Mode::of(kind, TRUNC | libc::MSG_ERRQUEUE, false);
            assert_eq!(queue.written, Written::Returned);
        }
    }

    #[test]
    fn what_is_not_known_is_always_received_into_zeros() {
        for (domain, socket_type) in [
            (libc::AF_ALG, libc::SOCK_SEQPACKET),
            (libc::AF_CAN, libc::SOCK_RAW),
            (libc::AF_TIPC, libc::SOCK_STREAM),
        ] {
            for flags in [0, PEEK, TRUNC, PEEK | TRUNC] {
                let (_, written) = mode(kind(domain, socket_type, 0), flags, false);
                assert_eq!(written, Written::Unknown);
            }
        }
    }
}
