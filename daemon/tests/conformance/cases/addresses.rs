//! How addresses come back: getsockname(2), getpeername(2), accept(2), recvfrom(2), in every family.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

use farsock_client::{Address, UnixAddress};

use crate::{
    call::Addr,
    kinds::*,
    theme::{Need, Theme},
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(&CONNECTED, "both ends name each other", |s, kind| {
        let listener = s.listener(kind);
        let near = s.bound(kind);
        s.connect(near, listener);
        let far = s.accept(listener);
        s.sock_name(near);
        s.peer_name(near);
        s.sock_name(far);
        s.peer_name(far);
    });
    theme.each(
        &DATAGRAMS,
        "a datagram brings its sender's address, by which it is answered",
        |s, kind| {
            let near = s.bound(kind);
            let far = s.bound(kind);
            s.send_to(near, "where are you", far);
            s.recv_from(far, 64).gives("where are you");
            s.send_to(far, "here", near);
            s.recv_from(near, 64).gives("here");
        },
    );
    theme.each(
        &UDP,
        "sending gives a port to a socket that has none",
        |s, kind| {
            let near = s.socket(kind);
            let far = s.bound(kind);
            s.send_to(near, "x", far);
            s.sock_name(near);
            s.recv_from(far, 16);
        },
    );
    theme.case("unix dgram: a sender without a name has no address", |s| {
        let near = s.socket(UNIX_DGRAM);
        let far = s.bound(UNIX_DGRAM);
        s.send_to(near, "anonymous", far);
        s.recv_from(far, 64).gives("anonymous");
    });
    theme.case("unix stream: a peer without a name is unnamed", |s| {
        let listener = s.listener(UNIX_STREAM);
        let near = s.socket(UNIX_STREAM);
        s.connect(near, listener);
        let far = s.accept(listener);
        s.peer_name(far).gives("unix:");
    });
    theme.case("unix stream: autobound and abstract names come back", |s| {
        let listener = s.socket(UNIX_STREAM);
        s.bind(listener, Addr::Abstract("listener".to_owned()));
        s.listen(listener, 4);
        let near = s.socket(UNIX_STREAM);
        s.bind(near, Address::Unix(UnixAddress::Unnamed));
        s.connect(near, listener);
        let far = s.accept(listener);
        s.peer_name(far).gives("autobound-1");
        s.peer_name(near).gives("$NAME-listener");
    });
    theme.case("unix dgram: SO_PASSCRED autobinds the sender", |s| {
        let near = s.socket(UNIX_DGRAM);
        s.set(near, libc::SOL_SOCKET, libc::SO_PASSCRED, 1);
        let far = s.bound(UNIX_DGRAM);
        s.send_to(near, "x", far);
        s.recv_from(far, 16).gives("autobound-1");
    });
    theme.case_with(
        "IPv6: an IPv4 peer of a dual-stack listener is v4-mapped",
        Need::Ipv6,
        |s| {
            let listener = s.socket(TCP6);
            s.set(listener, libc::SOL_IPV6, libc::IPV6_V6ONLY, 0);
            s.bind(listener, any_port(Ipv6Addr::UNSPECIFIED));
            s.listen(listener, 4);
            let near = s.socket(TCP4);
            s.connect(near, Addr::PortOf(listener, LOCAL4));
            let far = s.accept(listener);
            s.sock_name(far).gives("::ffff:127.0.0.1");
            s.peer_name(near).gives("127.0.0.1");
            s.send(near, "mapped");
            s.recv(far, 16).gives("mapped");
        },
    );
    theme.case_with("IPv6: a v4-mapped datagram", Need::Ipv6, |s| {
        let six = s.socket(UDP6);
        s.set(six, libc::SOL_IPV6, libc::IPV6_V6ONLY, 0);
        s.bind(six, any_port(Ipv6Addr::UNSPECIFIED));
        let four = s.bound(UDP4);
        s.send_to(
            six,
            "six to four",
            Addr::PortOf(four, Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()),
        );
        s.recv_from(four, 64).gives("six to four");
        s.send_to(four, "four to six", Addr::PortOf(six, LOCAL4));
        s.recv_from(six, 64).gives("::ffff:127.0.0.1");
    });
    theme.case_with(
        "IPv6: V6ONLY refuses an IPv4 destination",
        Need::Ipv6,
        |s| {
            let six = s.socket(UDP6);
            s.set(six, libc::SOL_IPV6, libc::IPV6_V6ONLY, 1);
            let four = s.bound(UDP4);
            let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            s.send_to(six, "x", Addr::PortOf(four, mapped.into()))
                .fails("ENETUNREACH");
        },
    );
    theme.case_with(
        "IPv6: a scope id of the loopback is dropped where it means nothing",
        Need::Ipv6,
        |s| {
            let socket = s.socket(UDP6);
            let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 1);
            s.bind(socket, Address::from(scoped));
            s.sock_name(socket);
        },
    );
    theme.case_with(
        "IPv6: a link-local multicast destination needs a scope id",
        Need::Ipv6,
        |s| {
            let socket = s.socket(UDP6);
            let group = |scope| {
                let group = "ff02::4242".parse().expect("an address");
                Address::from(SocketAddrV6::new(group, 9, 0, scope))
            };
            s.send_to(socket, "x", group(0)).either();
            s.connect(socket, group(1)).either();
            s.peer_name(socket).either();
        },
    );
    theme.each(
        &[("tcp4", TCP4), ("udp4", UDP4)],
        "connecting to any address reaches this host",
        |s, kind| {
            let peer = if kind == TCP4 {
                s.listener(kind)
            } else {
                s.bound(kind)
            };
            let near = s.socket(kind);
            s.connect(near, Addr::PortOf(peer, Ipv4Addr::UNSPECIFIED.into()));
            s.peer_name(near).gives("127.0.0.1");
        },
    );
    theme.case("the peer's address is gone with the connection", |s| {
        let (near, far) = s.connected(TCP4);
        s.abort(far);
        s.poll_until(&[(near, libc::POLLHUP)]);
        s.peer_name(near).fails("ENOTCONN");
        s.sock_name(near);
    });
    theme
}
