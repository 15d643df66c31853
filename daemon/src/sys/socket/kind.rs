//! What kind of socket a descriptor is: domain, type and protocol, as numbers and by name.

use std::{ffi::c_int, io, os::fd::BorrowedFd};

use farsock_proto::{
    Violation,
    socket::{Domain, Protocol, SocketType},
};

use super::integer_option;
use crate::sys::{message::Framing, option::Unlisted};

/// The kernel's numbers for a kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// SO_DOMAIN.
    pub(crate) domain: i32,
    /// SO_TYPE.
    pub(crate) kind: i32,
    /// SO_PROTOCOL.
    pub(crate) protocol: i32,
}

/// The kind of a socket: SO_DOMAIN, SO_TYPE and SO_PROTOCOL.
pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    Ok(Kind {
        domain: domain(fd)?,
        kind: integer_option(fd, libc::SOL_SOCKET, libc::SO_TYPE)?,
        protocol: integer_option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)?,
    })
}

/// The number of a socket's domain: SO_DOMAIN.
pub(in crate::sys) fn domain(fd: BorrowedFd<'_>) -> io::Result<i32> {
    integer_option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)
}

const DOMAINS: [(Domain, c_int); 6] = [
    (Domain::Unix, libc::AF_UNIX),
    (Domain::Inet, libc::AF_INET),
    (Domain::Inet6, libc::AF_INET6),
    (Domain::Vsock, libc::AF_VSOCK),
    (Domain::Packet, libc::AF_PACKET),
    (Domain::Netlink, libc::AF_NETLINK),
];

const TYPES: [(SocketType, c_int); 4] = [
    (SocketType::Stream, libc::SOCK_STREAM),
    (SocketType::Dgram, libc::SOCK_DGRAM),
    (SocketType::Seqpacket, libc::SOCK_SEQPACKET),
    (SocketType::Raw, libc::SOCK_RAW),
];

const PROTOCOLS: [(Protocol, c_int); 9] = [
    (Protocol::Default, 0),
    (Protocol::Icmp, libc::IPPROTO_ICMP),
    (Protocol::Tcp, libc::IPPROTO_TCP),
    (Protocol::Udp, libc::IPPROTO_UDP),
    (Protocol::Icmpv6, libc::IPPROTO_ICMPV6),
    (Protocol::Sctp, libc::IPPROTO_SCTP),
    (Protocol::Udplite, libc::IPPROTO_UDPLITE),
    (Protocol::Raw, libc::IPPROTO_RAW),
    (Protocol::Mptcp, libc::IPPROTO_MPTCP),
];

/// Whether a socket may be asked for by numbers: of the families that have a name, and a few more, the types of socket(2); and what no kernel
/// has, whose answer is EAFNOSUPPORT or EINVAL. Of another family nobody knows what its calls and options do with the daemon's memory and descriptors.
///
/// # Errors
/// The violation names `raw_domain` or `raw_type`.
pub(crate) fn check_listed(
    domain: Domain,
    kind: SocketType,
    unlisted: Unlisted,
) -> Result<(), Violation> {
    let Kind { domain, kind, .. } = Kind::of(domain, kind, Protocol::Default);
    let refuse = |field, what| {
        let description = format!(
            "refused: {what} is none of those that are known to be harmless to the daemon; farsockd --allow-raw-families allows it"
        );
        Err(Violation::new(field, description))
    };
    if unlisted == Unlisted::Allowed {
        Ok(())
    } else if !is_listed_domain(domain) {
        refuse("raw_domain", format!("family {domain}"))
    } else if !is_listed_type(domain, kind) {
        refuse("raw_type", format!("type {kind} of family {domain}"))
    } else {
        Ok(())
    }
}

/// Families without a name whose sockets are as harmless: of AF_XDP, since every option of its level is refused.
const LISTED_DOMAINS: [c_int; 2] = [libc::AF_BLUETOOTH, libc::AF_XDP];

/// Beyond this no kernel has families; AF_MAX is 46 in Linux 6.
const MOST_DOMAINS: c_int = 128;

/// libc's is deprecated, and says why: AF_PACKET.
const SOCK_PACKET: c_int = 10;

fn is_listed_domain(domain: c_int) -> bool {
    domain <= 0
        || domain >= MOST_DOMAINS
        || DOMAINS.iter().any(|(_, number)| *number == domain)
        || LISTED_DOMAINS.contains(&domain)
}

fn is_listed_type(domain: c_int, kind: c_int) -> bool {
    /// What is not a flag such as SOCK_NONBLOCK.
    const TYPE: c_int = 0xf;
    match kind & TYPE {
        // Those without a name, and SOCK_PACKET, which is AF_PACKET's.
        7..=9 => false,
        SOCK_PACKET => domain == libc::AF_PACKET,
        // SOCK_STREAM to SOCK_DCCP, and what no kernel has.
        _ => true,
    }
}

impl Kind {
    /// Whether a socket of this kind may come from elsewhere: see [`check_listed`].
    pub(crate) fn is_listed(self, unlisted: Unlisted) -> bool {
        unlisted == Unlisted::Allowed
            || (is_listed_domain(self.domain) && is_listed_type(self.domain, self.kind))
    }

    /// The numbers that socket(2) takes.
    pub(in crate::sys) fn of(domain: Domain, kind: SocketType, protocol: Protocol) -> Self {
        Self {
            domain: match domain {
                Domain::Raw(number) => number,
                named => number(&DOMAINS, named),
            },
            kind: match kind {
                SocketType::Other(number) => number,
                named => number(&TYPES, named),
            },
            protocol: match protocol {
                Protocol::Other(number) => number,
                named => number(&PROTOCOLS, named),
            },
        }
    }

    /// The domain, by name if it has one.
    pub(crate) fn domain(self) -> Domain {
        name(&DOMAINS, self.domain).unwrap_or(Domain::Raw(self.domain))
    }

    /// The type, by name if it has one.
    pub(crate) fn socket_type(self) -> SocketType {
        name(&TYPES, self.kind).unwrap_or(SocketType::Other(self.kind))
    }

    /// The protocol, by name if it has one. The names are internet protocols': 6 is TCP for AF_INET and AF_INET6, but
    /// NETLINK_XFRM for AF_NETLINK.
    pub(crate) fn protocol(self) -> Protocol {
        match self.domain {
            libc::AF_INET | libc::AF_INET6 => name(&PROTOCOLS, self.protocol),
            _ if self.protocol == 0 => Some(Protocol::Default),
            _ => None,
        }
        .unwrap_or(Protocol::Other(self.protocol))
    }

    /// Whether it is of AF_INET or AF_INET6.
    pub(crate) fn is_internet(self) -> bool {
        matches!(self.domain, libc::AF_INET | libc::AF_INET6)
    }

    /// Whether it is TCP proper: MPTCP has rules of its own.
    pub(crate) fn is_tcp(self) -> bool {
        self.is_internet() && self.protocol == libc::IPPROTO_TCP
    }

    /// Whether it is MPTCP.
    pub(crate) fn is_mptcp(self) -> bool {
        self.is_internet() && self.protocol == libc::IPPROTO_MPTCP
    }

    /// Whether it is SCTP.
    pub(crate) fn is_sctp(self) -> bool {
        self.is_internet() && self.protocol == libc::IPPROTO_SCTP
    }

    /// Whether it carries bytes or messages.
    pub(crate) fn framing(self) -> Framing {
        match self.kind {
            libc::SOCK_STREAM => Framing::Stream,
            _ => Framing::Message,
        }
    }
}

fn number<N: Copy + PartialEq>(table: &[(N, c_int)], name: N) -> c_int {
    table
        .iter()
        .find(|row| row.0 == name)
        .expect("every named domain, type and protocol has a row in its table")
        .1
}

fn name<N: Copy>(table: &[(N, c_int)], number: c_int) -> Option<N> {
    table.iter().find(|row| row.1 == number).map(|row| row.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_number_and_comes_back_from_it() {
        for (domain, _) in DOMAINS {
            for (kind, _) in TYPES {
                for (protocol, _) in PROTOCOLS {
                    let numbers = Kind::of(domain, kind, protocol);
                    assert_eq!(numbers.domain(), domain);
                    assert_eq!(numbers.socket_type(), kind);
                    if matches!(domain, Domain::Inet | Domain::Inet6) {
                        assert_eq!(numbers.protocol(), protocol);
                    }
                }
            }
        }
    }

    #[test]
    fn families_and_types_without_a_name_pass_only_where_they_may_or_no_kernel_has_them() {
        let (unix, inet) = (libc::AF_UNIX, libc::AF_INET);
        for (domain, kind, field) in [
            (libc::AF_ALG, libc::SOCK_SEQPACKET, Some("raw_domain")),
            (libc::AF_RDS, libc::SOCK_SEQPACKET, Some("raw_domain")),
            (libc::AF_TIPC, libc::SOCK_RDM, Some("raw_domain")),
            (libc::AF_CAN, libc::SOCK_RAW, Some("raw_domain")),
            (libc::AF_KEY, libc::SOCK_RAW, Some("raw_domain")),
            // One that a kernel to come may have.
            (60, libc::SOCK_STREAM, Some("raw_domain")),
            (inet, 9, Some("raw_type")),
            (inet, 9 | libc::SOCK_NONBLOCK, Some("raw_type")),
            (inet, libc::SOCK_DCCP, None),
            (inet, SOCK_PACKET, Some("raw_type")),
            (libc::AF_PACKET, SOCK_PACKET, None),
            (inet, libc::SOCK_RDM, None),
            (unix, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, None),
            // The kernel's to refuse.
            (0, libc::SOCK_STREAM, None),
            (-1, libc::SOCK_STREAM, None),
            (200, libc::SOCK_STREAM, None),
            (i32::MAX, i32::MAX, None),
            (inet, 12, None),
        ] {
            let (wanted, other) = (Domain::Raw(domain), SocketType::Other(kind));
            let refused = check_listed(wanted, other, Unlisted::Refused).err();
            let named = refused.as_ref().map(|violation| violation.field.as_str());
            assert_eq!(named, field, "{domain} {kind}");
            if let Some(violation) = refused {
                assert!(violation.description.contains("--allow-raw-families"));
            }
            assert_eq!(check_listed(wanted, other, Unlisted::Allowed), Ok(()));
        }
        for (domain, number) in DOMAINS {
            for (kind, of_it) in TYPES {
                assert_eq!(check_listed(domain, kind, Unlisted::Refused), Ok(()));
                assert!(Kind::of(domain, kind, Protocol::Default).is_listed(Unlisted::Refused));
                assert!(is_listed_domain(number) && is_listed_type(number, of_it));
            }
        }
    }

    #[test]
    fn protocol_names_are_for_internet_domains_alone() {
        let protocol = |domain, protocol| {
            Kind {
                domain,
                kind: libc::SOCK_RAW,
                protocol,
            }
            .protocol()
        };
        assert_eq!(protocol(libc::AF_INET, 6), Protocol::Tcp);
        assert_eq!(protocol(libc::AF_NETLINK, 6), Protocol::Other(6));
        assert_eq!(protocol(libc::AF_NETLINK, 0), Protocol::Default);
        assert_eq!(protocol(libc::AF_INET, 200), Protocol::Other(200));
    }

    #[test]
    fn numbers_without_a_name_stay_numbers() {
        let kind = Kind::of(Domain::Raw(38), SocketType::Other(4), Protocol::Other(-1));
        assert_eq!(
            kind,
            Kind {
                domain: 38,
                kind: 4,
                protocol: -1
            }
        );
        assert_eq!(kind.domain(), Domain::Raw(38));
        assert_eq!(kind.socket_type(), SocketType::Other(4));
        assert_eq!(kind.protocol(), Protocol::Other(-1));
    }
}
