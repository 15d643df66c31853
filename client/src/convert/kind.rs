//! Kinds of sockets: domains, types and protocols by name and by number.

use farsock_proto::{
    socket::{Domain, Protocol, SocketType},
    v1,
};

/// The two ways a request can say a domain, a type or a protocol.
pub(crate) enum Choice {
    /// By the wire's enum.
    Name(i32),
    /// By the kernel's number.
    Number(i32),
}

impl From<Domain> for Choice {
    fn from(domain: Domain) -> Self {
        match domain {
            Domain::Raw(number) => Self::Number(number),
            named => Self::Name(named.named().map_or(0, Into::into)),
        }
    }
}

impl From<SocketType> for Choice {
    fn from(kind: SocketType) -> Self {
        match kind {
            SocketType::Other(number) => Self::Number(number),
            named => Self::Name(named.named().map_or(0, Into::into)),
        }
    }
}

impl From<Protocol> for Choice {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Other(number) => Self::Number(number),
            named => Self::Name(named.named().map_or(0, Into::into)),
        }
    }
}

/// The domain that a reply says both by name and by number.
pub(crate) fn domain(name: i32, number: i32) -> Domain {
    Domain::from_wire(name).unwrap_or(Domain::Raw(number))
}

/// The type that a reply says both by name and by number.
pub(crate) fn socket_type(name: i32, number: i32) -> SocketType {
    SocketType::from_wire(name).unwrap_or(SocketType::Other(number))
}

/// The protocol that a reply says both by name and by number; number 0 is none, and one without a
/// name here has name 0.
pub(crate) fn protocol(name: i32, number: i32) -> Protocol {
    match Protocol::from_wire(name) {
        Ok(Protocol::Default) | Err(_) if number != 0 => Protocol::Other(number),
        Ok(protocol) => protocol,
        Err(_) => Protocol::Default,
    }
}

/// The protocol that a reply says by number alone. Internet protocols have the same numbers
/// everywhere.
pub(crate) fn protocol_by_number(number: i32) -> Protocol {
    let name = match number {
        1 => v1::Protocol::Icmp,
        6 => v1::Protocol::Tcp,
        17 => v1::Protocol::Udp,
        58 => v1::Protocol::Icmpv6,
        132 => v1::Protocol::Sctp,
        136 => v1::Protocol::Udplite,
        255 => v1::Protocol::Raw,
        262 => v1::Protocol::Mptcp,
        _ => v1::Protocol::Unspecified,
    };
    protocol(name.into(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_a_number_and_a_number_stands_in_for_an_unknown_name() {
        assert_eq!(domain(v1::Domain::Inet.into(), 2), Domain::Inet);
        assert_eq!(domain(0, 44), Domain::Raw(44));
        assert_eq!(domain(99, 44), Domain::Raw(44));
        assert_eq!(
            socket_type(v1::SocketType::Dgram.into(), 2),
            SocketType::Dgram
        );
        assert_eq!(socket_type(0, 4), SocketType::Other(4));
        assert_eq!(protocol(v1::Protocol::Tcp.into(), 6), Protocol::Tcp);
        assert_eq!(protocol(0, 0), Protocol::Default);
        assert_eq!(protocol(0, 47), Protocol::Other(47));
        assert_eq!(protocol(99, 47), Protocol::Other(47));
    }

    #[test]
    fn the_resolvers_protocol_numbers_have_their_names() {
        assert_eq!(protocol_by_number(0), Protocol::Default);
        assert_eq!(protocol_by_number(6), Protocol::Tcp);
        assert_eq!(protocol_by_number(17), Protocol::Udp);
        assert_eq!(protocol_by_number(47), Protocol::Other(47));
    }

    #[test]
    fn a_number_is_said_as_a_number() {
        assert!(matches!(Choice::from(Domain::Raw(44)), Choice::Number(44)));
        assert!(matches!(Choice::from(Domain::Unix), Choice::Name(1)));
        assert!(matches!(
            Choice::from(SocketType::Other(4)),
            Choice::Number(4)
        ));
        assert!(matches!(
            Choice::from(Protocol::Other(47)),
            Choice::Number(47)
        ));
        assert!(matches!(Choice::from(Protocol::Udp), Choice::Name(3)));
    }
}
