//! What kind of socket: domain, type and protocol, by name or by number.

use std::fmt;

use crate::{Violation, v1};

mod names;

use names::{DOMAINS, PROTOCOLS, SHUTDOWNS, TYPES, c_name, from_wire, named, parse};

/// The communication domain of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// AF_UNIX.
    Unix,
    /// AF_INET.
    Inet,
    /// AF_INET6.
    Inet6,
    /// AF_VSOCK.
    Vsock,
    /// AF_PACKET.
    Packet,
    /// AF_NETLINK.
    Netlink,
    /// Any other, by its number on the daemon's host.
    Raw(i32),
}

/// The type of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketType {
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Dgram,
    /// SOCK_SEQPACKET.
    Seqpacket,
    /// SOCK_RAW.
    Raw,
    /// Any other, by its number on the daemon's host.
    Other(i32),
}

/// The protocol of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// 0: the usual one for domain and type.
    #[default]
    Default,
    /// IPPROTO_ICMP.
    Icmp,
    /// IPPROTO_TCP.
    Tcp,
    /// IPPROTO_UDP.
    Udp,
    /// IPPROTO_ICMPV6.
    Icmpv6,
    /// IPPROTO_SCTP.
    Sctp,
    /// IPPROTO_UDPLITE.
    Udplite,
    /// IPPROTO_RAW.
    Raw,
    /// IPPROTO_MPTCP.
    Mptcp,
    /// Any other, by the number that socket(2) takes.
    Other(i32),
}

/// Which directions shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShutdownHow {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}

impl Domain {
    /// Reads the wire's enum number.
    ///
    /// # Errors
    /// A [`Violation`] of the value for a number that the enum does not name, and for 0.
    pub fn from_wire(number: i32) -> Result<Self, Violation> {
        from_wire(
            &DOMAINS,
            number,
            "a domain, or give it by number as raw_domain",
        )
    }

    /// The wire's name for it; `None` for a number.
    #[must_use]
    pub fn named(self) -> Option<v1::Domain> {
        named(&DOMAINS, self)
    }

    /// Reads "inet", "AF_INET" or a number of the daemon's host.
    ///
    /// # Errors
    /// A [`Violation`] of the value that tells the names.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        parse(&DOMAINS, text, Some(Self::Raw), "domain")
    }
}

/// The C name, or the number.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(number) => write!(f, "{number}"),
            named => f.write_str(c_name(&DOMAINS, *named)),
        }
    }
}

impl SocketType {
    /// Reads the wire's enum number.
    ///
    /// # Errors
    /// A [`Violation`] of the value for a number that the enum does not name, and for 0.
    pub fn from_wire(number: i32) -> Result<Self, Violation> {
        from_wire(
            &TYPES,
            number,
            "a socket type, or give it by number as raw_type",
        )
    }

    /// The wire's name for it; `None` for a number.
    #[must_use]
    pub fn named(self) -> Option<v1::SocketType> {
        named(&TYPES, self)
    }

    /// Reads "stream", "SOCK_STREAM" or a number of the daemon's host.
    ///
    /// # Errors
    /// A [`Violation`] of the value that tells the names.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        parse(&TYPES, text, Some(Self::Other), "socket type")
    }
}

/// The C name, or the number.
impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{number}"),
            named => f.write_str(c_name(&TYPES, *named)),
        }
    }
}

impl Protocol {
    /// Reads the wire's enum number; 0 is [`Protocol::Default`].
    ///
    /// # Errors
    /// A [`Violation`] of the value for a number that the enum does not name.
    pub fn from_wire(number: i32) -> Result<Self, Violation> {
        from_wire(
            &PROTOCOLS,
            number,
            "a protocol, or give it by number as raw_protocol",
        )
    }

    /// The wire's name for it, PROTOCOL_UNSPECIFIED for [`Protocol::Default`]; `None` for a number.
    #[must_use]
    pub fn named(self) -> Option<v1::Protocol> {
        named(&PROTOCOLS, self)
    }

    /// Reads "udp", "IPPROTO_UDP", "default" or the number that socket(2) takes.
    ///
    /// # Errors
    /// A [`Violation`] of the value that tells the names.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        parse(&PROTOCOLS, text, Some(Self::Other), "protocol")
    }
}

/// The C name, or the number; "0" for [`Protocol::Default`].
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{number}"),
            named => f.write_str(c_name(&PROTOCOLS, *named)),
        }
    }
}

impl ShutdownHow {
    /// Reads the wire's enum number.
    ///
    /// # Errors
    /// A [`Violation`] of the value for a number that the enum does not name, and for 0.
    pub fn from_wire(number: i32) -> Result<Self, Violation> {
        from_wire(&SHUTDOWNS, number, "what to shut down: read, write or both")
    }

    /// The wire's name for it.
    #[must_use]
    pub const fn to_wire(self) -> v1::ShutdownHow {
        match self {
            Self::Read => v1::ShutdownHow::Read,
            Self::Write => v1::ShutdownHow::Write,
            Self::Both => v1::ShutdownHow::Both,
        }
    }

    /// Reads "read", "write", "both" or a C name such as "SHUT_RDWR".
    ///
    /// # Errors
    /// A [`Violation`] of the value that tells the names.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        parse(&SHUTDOWNS, text, None, "direction")
    }
}

/// The C name.
impl fmt::Display for ShutdownHow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(c_name(&SHUTDOWNS, *self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        names::{DOMAINS, PROTOCOLS, TYPES},
        *,
    };

    /// Every number of a wire enum without gaps, 0 left out.
    fn numbers(in_enum: fn(i32) -> bool) -> impl Iterator<Item = i32> {
        (1..).take_while(move |&number| in_enum(number))
    }

    #[test]
    fn every_name_of_the_wire_has_a_domain_value_and_comes_back() {
        for number in numbers(|n| v1::Domain::try_from(n).is_ok()) {
            let domain = Domain::from_wire(number).expect("is taken");
            assert_eq!(domain.named().expect("is taken") as i32, number);
            assert_eq!(Domain::parse(&domain.to_string()), Ok(domain));
        }
        for number in numbers(|n| v1::SocketType::try_from(n).is_ok()) {
            let kind = SocketType::from_wire(number).expect("is taken");
            assert_eq!(kind.named().expect("is taken") as i32, number);
            assert_eq!(SocketType::parse(&kind.to_string()), Ok(kind));
        }
        for number in numbers(|n| v1::Protocol::try_from(n).is_ok()) {
            let protocol = Protocol::from_wire(number).expect("is taken");
            assert_eq!(protocol.named().expect("is taken") as i32, number);
            assert_eq!(Protocol::parse(&protocol.to_string()), Ok(protocol));
        }
        for number in numbers(|n| v1::ShutdownHow::try_from(n).is_ok()) {
            let how = ShutdownHow::from_wire(number).expect("is taken");
            assert_eq!(how.to_wire() as i32, number);
            assert_eq!(ShutdownHow::parse(&how.to_string()), Ok(how));
        }
    }

    #[test]
    fn the_c_name_is_the_name_of_the_wire_with_its_own_prefix() {
        for (domain, wire, short, c_name) in DOMAINS {
            assert_eq!(
                wire.as_str_name().strip_prefix("DOMAIN_"),
                c_name.strip_prefix("AF_")
            );
            assert_eq!(short.to_uppercase(), c_name["AF_".len()..]);
            assert_eq!(domain.to_string(), c_name);
        }
        for (kind, wire, short, c_name) in TYPES {
            assert_eq!(
                wire.as_str_name().strip_prefix("SOCKET_TYPE_"),
                c_name.strip_prefix("SOCK_")
            );
            assert_eq!(short.to_uppercase(), c_name["SOCK_".len()..]);
            assert_eq!(kind.to_string(), c_name);
        }
        for (protocol, wire, short, c_name) in PROTOCOLS.into_iter().skip(1) {
            assert_eq!(
                wire.as_str_name().strip_prefix("PROTOCOL_"),
                c_name.strip_prefix("IPPROTO_")
            );
            assert_eq!(short.to_uppercase(), c_name["IPPROTO_".len()..]);
            assert_eq!(protocol.to_string(), c_name);
        }
    }

    #[test]
    fn zero_is_missing_but_for_protocols_where_it_is_the_default() {
        assert!(
            Domain::from_wire(0)
                .expect_err("is refused")
                .description
                .contains("missing")
        );
        assert!(
            SocketType::from_wire(0)
                .expect_err("is refused")
                .description
                .contains("missing")
        );
        assert!(
            ShutdownHow::from_wire(0)
                .expect_err("is refused")
                .description
                .contains("missing")
        );
        assert_eq!(Protocol::from_wire(0), Ok(Protocol::Default));
        assert_eq!(Protocol::parse("0"), Ok(Protocol::Default));
        assert_eq!(Protocol::Default.named(), Some(v1::Protocol::Unspecified));
    }

    #[test]
    fn a_number_without_a_name_is_refused_with_the_way_to_give_it() {
        let violation = Domain::from_wire(99).expect_err("is refused");
        assert_eq!(violation.field, "");
        assert!(violation.description.contains("raw_domain"));
    }

    #[test]
    fn names_are_short_names_c_names_and_numbers() {
        assert_eq!(Domain::parse("inet"), Ok(Domain::Inet));
        assert_eq!(Domain::parse("AF_INET"), Ok(Domain::Inet));
        assert_eq!(Domain::parse("2"), Ok(Domain::Raw(2)));
        assert_eq!(SocketType::parse("raw"), Ok(SocketType::Raw));
        assert_eq!(SocketType::parse("3"), Ok(SocketType::Other(3)));
        assert_eq!(Protocol::parse("-1"), Ok(Protocol::Other(-1)));
        assert_eq!(ShutdownHow::parse("both"), Ok(ShutdownHow::Both));
        for text in ["", "INET", "ip4", "99999999999", "af_inet"] {
            let violation = Domain::parse(text).expect_err("is refused");
            assert!(violation.description.contains("inet6"), "{violation}");
        }
        assert!(ShutdownHow::parse("2").is_err());
    }

    proptest! {
        #[test]
        fn from_wire_takes_what_the_enum_names_and_nothing_else(number: i32) {
            let names_domain = v1::Domain::try_from(number).is_ok() && number != 0;
            prop_assert_eq!(Domain::from_wire(number).is_ok(), names_domain);
            let names_protocol = v1::Protocol::try_from(number).is_ok();
            prop_assert_eq!(Protocol::from_wire(number).is_ok(), names_protocol);
        }

        #[test]
        fn a_value_by_number_has_no_name_and_prints_as_the_number(number in 1_000..i32::MAX) {
            prop_assert_eq!(Domain::Raw(number).named(), None);
            let text = number.to_string();
            prop_assert_eq!(Domain::Raw(number).to_string(), text.clone());
            prop_assert_eq!(Domain::parse(&text), Ok(Domain::Raw(number)));
            prop_assert_eq!(Protocol::Other(number).to_string(), text.clone());
            prop_assert_eq!(Protocol::parse(&text), Ok(Protocol::Other(number)));
        }

        #[test]
        fn parse_never_panics(text: String) {
            let _ = (Domain::parse(&text), SocketType::parse(&text));
            let _ = (Protocol::parse(&text), ShutdownHow::parse(&text));
        }
    }
}
