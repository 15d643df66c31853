//! Kinds of sockets in one word, as `socket` and `pair` take them and `ls` shows them, or by their parts.

use clap::builder::{PossibleValue, TypedValueParser};
use farsock_client::{Domain, Protocol, SocketType};

/// The words, and the arguments of socket(2) each stands for.
const KINDS: [(&str, Parts, &str); 17] = {
    use {Domain as D, Protocol as P, SocketType as T};
    [
        ("tcp", (D::Inet, T::Stream, P::Tcp), "TCP over IPv4"),
        ("tcp6", (D::Inet6, T::Stream, P::Tcp), "TCP over IPv6"),
        ("udp", (D::Inet, T::Dgram, P::Udp), "UDP over IPv4"),
        ("udp6", (D::Inet6, T::Dgram, P::Udp), "UDP over IPv6"),
        ("unix", (D::Unix, T::Stream, P::Default), "a unix stream"),
        (
            "unix-dgram",
            (D::Unix, T::Dgram, P::Default),
            "unix datagrams",
        ),
        (
            "unix-seqpacket",
            (D::Unix, T::Seqpacket, P::Default),
            "unix messages over a connection",
        ),
        ("mptcp", (D::Inet, T::Stream, P::Mptcp), "MPTCP over IPv4"),
        ("mptcp6", (D::Inet6, T::Stream, P::Mptcp), "MPTCP over IPv6"),
        (
            "udplite",
            (D::Inet, T::Dgram, P::Udplite),
            "UDP-Lite over IPv4",
        ),
        (
            "udplite6",
            (D::Inet6, T::Dgram, P::Udplite),
            "UDP-Lite over IPv6",
        ),
        ("sctp", (D::Inet, T::Stream, P::Sctp), "SCTP over IPv4"),
        ("sctp6", (D::Inet6, T::Stream, P::Sctp), "SCTP over IPv6"),
        (
            "icmp",
            (D::Inet, T::Dgram, P::Icmp),
            "ICMP echo without privileges",
        ),
        (
            "icmp6",
            (D::Inet6, T::Dgram, P::Icmpv6),
            "ICMPv6 echo without privileges",
        ),
        (
            "vsock",
            (D::Vsock, T::Stream, P::Default),
            "a stream between virtual machine and host",
        ),
        (
            "netlink",
            (D::Netlink, T::Raw, P::Default),
            "the kernel's network configuration",
        ),
    ]
};

/// Domain, type and protocol: what socket(2) takes.
pub(crate) type Parts = (Domain, SocketType, Protocol);

/// What `socket` and `pair` are asked to create: a word, or the parts.
#[derive(clap::Args)]
pub(crate) struct KindArgs {
    /// The kind of socket in one word
    #[arg(
        value_name = "KIND",
        value_parser = KindParser,
        required_unless_present = "domain",
        conflicts_with_all = ["domain", "type", "protocol"],
    )]
    kind: Option<Parts>,
    /// The domain: unix, inet, inet6, vsock, packet, netlink, or its number on the daemon's host
    #[arg(long, value_name = "NAME|NUMBER", value_parser = Domain::parse, requires = "type")]
    domain: Option<Domain>,
    /// The type: stream, dgram, seqpacket, raw, or its number on the daemon's host
    #[arg(long, value_name = "NAME|NUMBER", value_parser = SocketType::parse, requires = "domain")]
    r#type: Option<SocketType>,
    /// The protocol: tcp, udp, icmp, icmpv6, sctp, udplite, mptcp, raw, or its number; the usual one unless given
    #[arg(long, value_name = "NAME|NUMBER", value_parser = Protocol::parse, requires = "domain")]
    protocol: Option<Protocol>,
}

impl KindArgs {
    /// What was asked for.
    pub(crate) fn parts(&self) -> Parts {
        match (self.kind, self.domain, self.r#type) {
            (None, Some(domain), Some(r#type)) => {
                (domain, r#type, self.protocol.unwrap_or_default())
            }
            (kind, ..) => kind.expect("clap demands a kind unless domain and type are given"),
        }
    }
}

/// The kind of a socket in one word, or its parts where there is none.
pub(crate) fn word(domain: Domain, r#type: SocketType, protocol: Protocol) -> String {
    KINDS
        .iter()
        .find(|(_, parts, _)| *parts == (domain, r#type, protocol))
        .map_or_else(
            || format!("{domain}/{type}/{protocol}"),
            |(word, ..)| (*word).to_owned(),
        )
}

/// Reads the words, and shows them in help texts and completions.
#[derive(Clone)]
struct KindParser;

impl TypedValueParser for KindParser {
    type Value = Parts;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Parts, clap::Error> {
        // The parser for lists of words writes the error message, with its guess at what was meant.
        let words = clap::builder::PossibleValuesParser::new(KINDS.map(|(word, ..)| word));
        let word = words.parse_ref(command, arg, value)?;
        let found = KINDS.iter().find(|(known, ..)| *known == word);
        Ok(found.expect("the words come from this table").1)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(KINDS.iter().map(|(word, _, help)| {
            PossibleValue::new(*word).help(*help)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_shown_by_the_word_it_was_asked_for() {
        for (name, (domain, r#type, protocol), _) in KINDS {
            assert_eq!(word(domain, r#type, protocol), name);
        }
    }

    #[test]
    fn a_kind_without_a_word_is_shown_by_its_parts() {
        let shown = word(Domain::Packet, SocketType::Other(10), Protocol::Other(768));
        assert_eq!(shown, "AF_PACKET/10/768");
    }
}
