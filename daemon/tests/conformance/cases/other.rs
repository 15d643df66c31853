//! Other families and protocols: UDP-Lite, MPTCP, raw IP, ping, AF_PACKET, AF_NETLINK, AF_VSOCK.

use std::net::Ipv4Addr;

use farsock_client::{Address, RawAddress, VsockAddress};
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_RAW,
    MSG_DONTWAIT, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM,
};

use crate::{
    call::Kind,
    kinds::*,
    script::out,
    theme::{Need, Theme},
};

const PING: Kind = Kind::new(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
const PING6: Kind = Kind::new(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
const VSOCK: Kind = Kind::new(AF_VSOCK, SOCK_STREAM, 0);
const NETLINK: Kind = Kind::new(AF_NETLINK, SOCK_RAW, 0);

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.case_with(
        "raw IPv4: a packet comes with its header",
        Need::Root,
        |s| {
            let kind = Kind::new(AF_INET, SOCK_RAW, own_protocol());
            let near = s.socket(kind);
            let far = s.socket(kind);
            s.bind(far, any_port(Ipv4Addr::new(127, 53, 0, 1)));
            s.send_to(near, "raw", any_port(Ipv4Addr::new(127, 53, 0, 1)));
            // The header's identification and checksum vary.
            s.recv_from(far, 0).flags(libc::MSG_TRUNC).gives("of 23");
            s.sock_name(far);
        },
    );
    theme.case_with("raw IPv4: connected, and peeking", Need::Root, |s| {
        let kind = Kind::new(AF_INET, SOCK_RAW, own_protocol());
        let near = s.socket(kind);
        let far = s.socket(kind);
        s.bind(near, any_port(Ipv4Addr::new(127, 54, 0, 2)));
        s.bind(far, any_port(Ipv4Addr::new(127, 54, 0, 1)));
        s.connect(near, any_port(Ipv4Addr::new(127, 54, 0, 1)));
        s.connect(far, any_port(Ipv4Addr::new(127, 54, 0, 2)));
        // The kernel takes the port of 0 for no peer.
        s.peer_name(near).fails("ENOTCONN");
        let begun = s.recv(far, 0).gives("of 24").starts();
        s.waits(begun);
        s.send(near, "four");
        s.finish(begun);
        s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.case_with("raw IPv4: IPPROTO_RAW does not receive", Need::Root, |s| {
        let socket = s.socket(Kind::new(AF_INET, SOCK_RAW, IPPROTO_RAW));
        s.get(socket, libc::SOL_IP, libc::IP_HDRINCL).gives("[1");
        s.send_to(socket, "too short", any_port(LOCAL4)).either();
        s.recv(socket, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.case_with("raw ICMP: ICMP_FILTER reads back", Need::Root, |s| {
        let socket = s.socket(Kind::new(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        s.get(socket, libc::SOL_RAW, 1);
        s.set(socket, libc::SOL_RAW, 1, -2);
        s.get(socket, libc::SOL_RAW, 1)
            .gives("[254, 255, 255, 255]");
    });
    theme.case_with(
        "raw IPv6: the header stays with the kernel",
        Need::Root,
        |s| {
            let kind = Kind::new(AF_INET6, SOCK_RAW, own_protocol());
            let near = s.socket(kind);
            let far = s.socket(kind);
            s.bind(far, any_port(LOCAL6));
            s.send_to(near, "raw six", any_port(LOCAL6));
            s.recv_from(far, 64).gives("raw six");
        },
    );

    theme.case_with("ping: an echo comes back", Need::Kind(PING), |s| {
        let socket = s.socket(PING);
        s.connect(socket, any_port(LOCAL4));
        // Type 8, code 0; the kernel fills in checksum and identifier.
        s.send(socket, [8, 0, 0, 0, 0, 0, 0, 1, b'p', b'i', b'n', b'g']);
        // Identifier and checksum vary.
        s.recv(socket, 2).gives("of 12 TRUNC");
        s.send(socket, [0; 4]).either();
    });
    theme.case_with(
        "ping over IPv6: an echo comes back",
        Need::Kind(PING6),
        |s| {
            let socket = s.socket(PING6);
            s.connect(socket, any_port(LOCAL6));
            s.send(socket, [128, 0, 0, 0, 0, 0, 0, 1, b'p', b'i', b'n', b'g']);
            s.recv(socket, 2).gives("of 12 TRUNC");
        },
    );

    theme.case_with("udplite4: coverage reads back", Need::Kind(UDPLITE4), |s| {
        let (near, far) = s.associated(UDPLITE4);
        s.set(near, libc::IPPROTO_UDPLITE, 10, 20);
        s.get(near, libc::IPPROTO_UDPLITE, 10).gives("[20");
        s.set(far, libc::IPPROTO_UDPLITE, 11, 8);
        s.get(far, libc::IPPROTO_UDPLITE, 11).gives("[8");
        s.send(near, "partly covered");
        s.recv(far, 64).gives("partly covered");
    });
    theme.case_with("mptcp4: both ends know", Need::Kind(MPTCP4), |s| {
        let (near, far) = s.connected(MPTCP4);
        s.get(near, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        s.get(far, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        // TCP_IS_MPTCP.
        s.get(near, libc::SOL_TCP, 43).either();
    });
    theme.case_with("mptcp4: a plain TCP peer", Need::Kind(MPTCP4), |s| {
        let listener = s.listener(MPTCP4);
        let near = s.socket(TCP4);
        s.connect(near, listener);
        let far = s.accept(listener);
        s.get(far, libc::SOL_SOCKET, libc::SO_PROTOCOL);
        s.info(far);
        s.send(near, "plain");
        s.recv(far, 16).gives("plain");
    });

    let protocol = i32::from(own_ether_type().to_be());
    let packet = |kind| Kind::new(AF_PACKET, kind, protocol);
    for (name, kind, sent, received) in [
        (
            "datagrams",
            packet(SOCK_DGRAM),
            "payload".as_bytes().to_vec(),
            7,
        ),
        ("frames", packet(SOCK_RAW), frame("payload"), 21),
    ] {
        theme.case_with(
            format!("packet: {name} over the loopback"),
            Need::Root,
            move |s| {
                let socket = s.socket(kind);
                s.bind(socket, link(1));
                s.sock_name(socket);
                s.send_to(socket, &sent, link(1));
                s.recv_from(socket, 64).gives(format!("{received} "));
                s.recv(socket, 64).flags(MSG_DONTWAIT).fails("EAGAIN");
                s.bind(socket, link(9999)).fails("ENODEV");
            },
        );
    }
    theme.case_with("packet: the statistics are read once", Need::Root, |s| {
        let socket = s.socket(packet(SOCK_DGRAM));
        s.call(crate::call::Call::GetOpt {
            socket,
            level: libc::SOL_PACKET,
            number: libc::PACKET_STATISTICS,
            room: 8,
        });
        s.connect(socket, link(1)).fails("EOPNOTSUPP");
        s.listen(socket, 1).fails("EOPNOTSUPP");
    });

    theme.case("netlink: a request is answered", |s| {
        let socket = s.socket(NETLINK);
        s.bind(socket, netlink(0));
        s.sock_name(socket);
        s.send_to(socket, get_loopback(), netlink(0));
        // RTM_NEWLINK of the loopback: counters in it vary, its beginning does not.
        s.recv_from(socket, 8).flags(libc::MSG_PEEK).gives("TRUNC");
        s.recv_from(socket, 8).gives("TRUNC");
        s.recv(socket, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.case(
        "netlink: a request that makes no sense is answered with an error",
        |s| {
            let socket = s.socket(NETLINK);
            s.send_to(socket, bad_request(), netlink(0));
            s.recv_from(socket, 12).gives("TRUNC");
        },
    );
    theme.case("netlink: groups by option", |s| {
        let socket = s.socket(NETLINK);
        // RTNLGRP_LINK.
        s.set(socket, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, 1);
        s.sock_name(socket);
        s.set(socket, libc::SOL_NETLINK, libc::NETLINK_DROP_MEMBERSHIP, 1);
        s.set(
            socket,
            libc::SOL_NETLINK,
            libc::NETLINK_ADD_MEMBERSHIP,
            9_999,
        )
        .fails("EINVAL");
    });
    theme.case("netlink: neither listens nor accepts", |s| {
        let socket = s.socket(NETLINK);
        s.listen(socket, 1).fails("EOPNOTSUPP");
        s.try_accept(socket).fails("EOPNOTSUPP");
        s.shutdown(socket, libc::SHUT_RDWR).fails("EOPNOTSUPP");
        s.peer_name(socket);
        s.connect(socket, netlink(0));
        s.send_messages(socket, vec![out(get_loopback())]);
        s.until_readable(socket);
    });

    let port = 900_000 + std::process::id();
    let vsock = |cid, port| Address::Vsock(VsockAddress { cid, port });
    theme.case_with("vsock: addresses", Need::Kind(VSOCK), move |s| {
        let socket = s.socket(VSOCK);
        s.sock_name(socket);
        s.bind(socket, vsock(u32::MAX, port)).either();
        s.sock_name(socket);
        s.bind(socket, vsock(u32::MAX, port + 1)).either();
        let refused = s.socket(VSOCK);
        // SO_VM_SOCKETS_CONNECT_TIMEOUT: 20 ms.
        let limit = [0i64.to_ne_bytes(), 20_000i64.to_ne_bytes()].concat();
        s.set_bytes(refused, AF_VSOCK, 6, limit);
        s.connect(refused, vsock(77_777, 1)).either();
    });
    theme.case_with(
        "vsock: a connect has a limit of its own, and SO_SNDTIMEO is none",
        Need::Kind(VSOCK),
        move |s| {
            for limit in [1i64, -1] {
                let socket = s.socket(VSOCK);
                let own = [0i64.to_ne_bytes(), 30_000i64.to_ne_bytes()].concat();
                s.set_bytes(socket, AF_VSOCK, 6, own);
                let other = match limit {
                    1 => [0i64.to_ne_bytes(), 1i64.to_ne_bytes()],
                    _ => [limit.to_ne_bytes(), [0; 8]],
                };
                s.set_bytes(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, other.concat());
                s.connect(socket, vsock(77_777, 1)).either();
            }
        },
    );
    theme.case_with(
        "vsock: over the loopback, if there is one",
        Need::Kind(VSOCK),
        move |s| {
            let listener = s.socket(VSOCK);
            s.bind(listener, vsock(1, port + 2)).either();
            s.listen(listener, 1).either();
            let near = s.socket(VSOCK.nonblocking());
            s.connect(near, vsock(1, port + 2)).either();
        },
    );
    theme.case("an AF_INET stream by raw numbers is TCP", |s| {
        let socket = s.socket(Kind::new(AF_INET, SOCK_STREAM, libc::IPPROTO_TCP));
        s.get(socket, libc::SOL_SOCKET, libc::SO_PROTOCOL)
            .gives("[6");
    });
    theme
}

/// Raw and packet sockets hear what those of other processes send, such as this test run twice at once: these are the process's own,
/// of numbers that are not assigned.
fn own_protocol() -> i32 {
    148 + i32::try_from(std::process::id() % 100).expect("below 100")
}

/// See [`own_protocol`].
fn own_ether_type() -> u16 {
    0xa000 + u16::try_from(std::process::id() % 0x1000).expect("below 0x1000")
}

/// An Ethernet frame on the loopback, whose addresses are zeros.
fn frame(payload: &str) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend(own_ether_type().to_be_bytes());
    frame.extend(payload.as_bytes());
    frame
}

/// struct sockaddr_ll of that interface.
fn link(index: i32) -> Address {
    let mut data = own_ether_type().to_be_bytes().to_vec();
    data.extend(index.to_ne_bytes());
    data.extend([0; 12]);
    Address::Raw(RawAddress {
        family: u16::try_from(AF_PACKET).expect("a small number"),
        data: data.into(),
    })
}

/// struct sockaddr_nl of that port id; 0 is the kernel.
fn netlink(id: u32) -> Address {
    let mut data = vec![0; 2];
    data.extend(id.to_ne_bytes());
    data.extend([0; 4]);
    Address::Raw(RawAddress {
        family: u16::try_from(AF_NETLINK).expect("a small number"),
        data: data.into(),
    })
}

/// RTM_GETLINK of interface 1, as a struct nlmsghdr and a struct ifinfomsg.
fn get_loopback() -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(1i32.to_ne_bytes());
    body.extend([0; 8]);
    request(18, &body)
}

/// A message of a type that there is not.
fn bad_request() -> Vec<u8> {
    request(9_999, &[0; 4])
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("a short message");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    // NLM_F_REQUEST.
    message.extend(1u16.to_ne_bytes());
    message.extend(7u32.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}
