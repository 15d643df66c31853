//! Creating sockets: socket(2), socketpair(2).

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, IPPROTO_TCP, IPPROTO_UDP,
    SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM,
};

use crate::{
    call::{Call, Kind},
    kinds::*,
    theme::{Need, Theme},
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(&ALL, "a fresh socket is what was asked for", |s, kind| {
        let socket = s.socket(kind);
        s.get(socket, libc::SOL_SOCKET, libc::SO_DOMAIN);
        s.get(socket, libc::SOL_SOCKET, libc::SO_TYPE);
        s.get(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        s.sock_name(socket);
        s.peer_name(socket).fails("ENOTCONN");
    });
    theme.each(
        &[
            ("tcp4", TCP4),
            ("tcp6", TCP6),
            ("udp4", UDP4),
            ("unix stream", UNIX_STREAM),
            ("unix dgram", UNIX_DGRAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "what is known of a fresh socket is what the kernel tells",
        |s, kind| {
            let waiting = s.socket(kind);
            s.info(waiting);
            let nonblocking = s.socket(kind.nonblocking());
            s.info(nonblocking);
        },
    );

    let refused = [
        (
            "tcp over datagrams",
            Kind::new(AF_INET, SOCK_DGRAM, IPPROTO_TCP),
            "EPROTONOSUPPORT",
        ),
        (
            "udp as a stream",
            Kind::new(AF_INET, SOCK_STREAM, IPPROTO_UDP),
            "EPROTONOSUPPORT",
        ),
        (
            "an internet type that is none",
            Kind::new(AF_INET, SOCK_RDM, 0),
            "ESOCKTNOSUPPORT",
        ),
        (
            "an internet type without a protocol",
            Kind::new(AF_INET, SOCK_SEQPACKET, 0),
            "ESOCKTNOSUPPORT",
        ),
        (
            "an IPv6 type without a protocol",
            Kind::new(AF_INET6, SOCK_SEQPACKET, 0),
            "ESOCKTNOSUPPORT",
        ),
        (
            "a protocol that is none",
            Kind::new(AF_INET, SOCK_STREAM, 200),
            "EPROTONOSUPPORT",
        ),
        (
            "a protocol below zero",
            Kind::new(AF_INET, SOCK_STREAM, -1),
            "EINVAL",
        ),
        (
            "a protocol past the last",
            Kind::new(AF_INET, SOCK_STREAM, 100_000),
            "EINVAL",
        ),
        (
            "a unix type that is none",
            Kind::new(AF_UNIX, SOCK_RDM, 0),
            "ESOCKTNOSUPPORT",
        ),
        (
            "a unix protocol",
            Kind::new(AF_UNIX, SOCK_STREAM, 7),
            "EPROTONOSUPPORT",
        ),
        (
            "a family past the last",
            Kind::new(200, SOCK_STREAM, 0),
            "EAFNOSUPPORT",
        ),
        (
            "the unspecified family",
            Kind::new(0, SOCK_STREAM, 0),
            "EAFNOSUPPORT",
        ),
        ("a type past the last", Kind::new(AF_INET, 12, 0), "EINVAL"),
        (
            "a netlink stream",
            Kind::new(AF_NETLINK, SOCK_STREAM, 0),
            "ESOCKTNOSUPPORT",
        ),
        (
            "a netlink protocol past the last",
            Kind::new(AF_NETLINK, SOCK_RAW, 100),
            "EPROTONOSUPPORT",
        ),
    ];
    for (what, kind, errno) in refused {
        theme.case(format!("{what} is {errno}"), |s| {
            s.call(Call::Socket(kind)).fails(errno);
        });
    }
    theme.case("a raw unix socket is a datagram socket", |s| {
        let socket = s.socket(Kind::new(AF_UNIX, SOCK_RAW, 0));
        s.get(socket, libc::SOL_SOCKET, libc::SO_TYPE);
    });
    for (what, kind) in [
        ("vsock stream", Kind::new(AF_VSOCK, SOCK_STREAM, 0)),
        ("vsock datagram", Kind::new(AF_VSOCK, SOCK_DGRAM, 0)),
        ("sctp", Kind::new(AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP)),
        ("dccp", Kind::new(AF_INET, 6, 33)),
        ("bluetooth", Kind::new(31, SOCK_STREAM, 3)),
        ("ping", Kind::new(AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP)),
        (
            "ping over IPv6",
            Kind::new(AF_INET6, SOCK_DGRAM, libc::IPPROTO_ICMPV6),
        ),
        ("xdp", Kind::new(44, SOCK_RAW, 0)),
    ] {
        theme.case(format!("{what}: whatever this kernel says"), |s| {
            s.call(Call::Socket(kind)).either();
        });
    }
    for (what, kind) in [
        ("raw IPv4", Kind::new(AF_INET, SOCK_RAW, 253)),
        ("packet", Kind::new(AF_PACKET, SOCK_RAW, 0)),
    ] {
        theme.case_with(
            format!("{what} is EPERM for who is not root"),
            Need::NoRoot,
            |s| {
                s.call(Call::Socket(kind)).fails("EPERM");
            },
        );
        theme.case_with(format!("{what} is root's"), Need::Root, |s| {
            s.socket(kind);
        });
    }

    for (name, kind) in [
        ("stream", UNIX_STREAM),
        ("dgram", UNIX_DGRAM),
        ("seqpacket", UNIX_SEQPACKET),
    ] {
        theme.case(
            format!("a pair of unix {name} sockets is connected both ways"),
            |s| {
                let (first, second) = s.pair(kind);
                s.send(first, "there");
                s.recv_from(second, 16).gives("there");
                s.send(second, "and back");
                s.recv_from(first, 16).gives("and back");
                s.sock_name(first);
                s.peer_name(first);
                s.close(first);
                s.send(second, "x").fails(if kind == UNIX_DGRAM {
                    "ECONNREFUSED"
                } else {
                    "EPIPE"
                });
            },
        );
    }
    theme.case("a non-blocking pair does not wait", |s| {
        let (first, second) = s.pair(UNIX_STREAM.nonblocking());
        s.recv(first, 16).fails("EAGAIN");
        s.recv(second, 16).fails("EAGAIN");
    });
    for (name, kind) in [("tcp4", TCP4), ("udp4", UDP4), ("udp6", UDP6)] {
        theme.case(format!("there are no pairs of {name} sockets"), |s| {
            s.call(Call::Pair(kind)).fails("EOPNOTSUPP");
        });
    }
    theme
}
