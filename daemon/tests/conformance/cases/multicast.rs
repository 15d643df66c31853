//! Multicast on the loopback: memberships, sources, and who hears what.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use libc::{
    IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP,
    IP_DROP_SOURCE_MEMBERSHIP, IP_MULTICAST_ALL, IP_MULTICAST_IF, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_UNBLOCK_SOURCE, IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP,
    IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, MSG_DONTWAIT, SOL_IP, SOL_IPV6,
};

use crate::{
    call::{Addr, Slot},
    kinds::*,
    script::Script,
    theme::{Need, Theme},
};

/// This process's own groups: who listens on any address hears the groups of the whole host.
static GROUP: LazyLock<Ipv4Addr> = LazyLock::new(|| {
    let [high, low] = own_number().to_be_bytes();
    Ipv4Addr::new(239, 42, high, low)
});
static GROUP6: LazyLock<Ipv6Addr> =
    LazyLock::new(|| Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x42, own_number()));

fn own_number() -> u16 {
    u16::try_from(std::process::id() % 0x1_0000).expect("below 0x10000")
}

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.case(
        "a member hears what is sent to the group, until it leaves",
        |s| {
            let (near, far) = sender_and_receiver(s);
            s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
            send(s, near, far, "joined");
            s.recv_from(far, 16).gives("joined");
            s.set_bytes(far, SOL_IP, IP_DROP_MEMBERSHIP, membership(*GROUP));
            send(s, near, far, "left");
            s.send_to(near, "direct", Addr::PortOf(far, LOCAL4));
            s.recv_from(far, 16).gives("direct");
        },
    );
    theme.case("who has not joined hears nothing", |s| {
        let (near, far) = sender_and_receiver(s);
        send(s, near, far, "not for you");
        s.send_to(near, "direct", Addr::PortOf(far, LOCAL4));
        s.recv_from(far, 16).gives("direct");
    });
    theme.case(
        "joining twice is EADDRINUSE, leaving twice EADDRNOTAVAIL",
        |s| {
            let (_near, far) = sender_and_receiver(s);
            s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
            s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP))
                .fails("EADDRINUSE");
            s.set_bytes(far, SOL_IP, IP_DROP_MEMBERSHIP, membership(*GROUP));
            s.set_bytes(far, SOL_IP, IP_DROP_MEMBERSHIP, membership(*GROUP))
                .fails("EADDRNOTAVAIL");
        },
    );
    theme.case(
        "an address that is no group is EINVAL, an interface that is none ENODEV",
        |s| {
            let (_near, far) = sender_and_receiver(s);
            s.set_bytes(
                far,
                SOL_IP,
                IP_ADD_MEMBERSHIP,
                membership(Ipv4Addr::new(10, 0, 0, 1)),
            )
            .fails("EINVAL");
            let elsewhere = [GROUP.octets(), [192, 0, 2, 1]].concat();
            s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, elsewhere)
                .fails("ENODEV");
            s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, [0; 3])
                .fails("EINVAL");
        },
    );
    theme.case("IP_MULTICAST_LOOP off keeps it from this host", |s| {
        let (near, far) = sender_and_receiver(s);
        s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
        s.set(near, SOL_IP, IP_MULTICAST_LOOP, 0);
        s.get(near, SOL_IP, IP_MULTICAST_LOOP);
        send(s, near, far, "silent");
        s.recv(far, 16).flags(MSG_DONTWAIT).either();
    });
    theme.case("IP_MULTICAST_IF, _TTL and _ALL read back", |s| {
        let (near, _far) = sender_and_receiver(s);
        s.get(near, SOL_IP, IP_MULTICAST_IF).gives("[127, 0, 0, 1]");
        // struct ip_mreqn with the loopback's index, of which no address is read back.
        let by_index = [[0; 4], [0; 4], 1_i32.to_ne_bytes()].concat();
        s.set_bytes(near, SOL_IP, IP_MULTICAST_IF, by_index);
        s.get(near, SOL_IP, IP_MULTICAST_IF).gives("[0, 0, 0, 0]");
        for ttl in [0, 1, 255, -1, 256] {
            s.set(near, SOL_IP, IP_MULTICAST_TTL, ttl).either();
            s.get(near, SOL_IP, IP_MULTICAST_TTL);
        }
        s.set(near, SOL_IP, IP_MULTICAST_ALL, 0);
        s.get(near, SOL_IP, IP_MULTICAST_ALL);
        s.set_bytes(near, SOL_IP, IP_MULTICAST_IF, [192, 0, 2, 1])
            .fails("EADDRNOTAVAIL");
        s.set_bytes(near, SOL_IP, IP_MULTICAST_IF, [0; 4]);
        s.get(near, SOL_IP, IP_MULTICAST_IF).gives("[0, 0, 0, 0]");
    });
    theme.case(
        "IP_MULTICAST_ALL off: another socket's membership is not one's own",
        |s| {
            let (near, far) = sender_and_receiver(s);
            let member = s.socket(UDP4);
            s.set_bytes(member, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
            send(s, near, far, "all");
            s.recv_from(far, 16).gives("all");
            s.set(far, SOL_IP, IP_MULTICAST_ALL, 0);
            send(s, near, far, "mine");
            s.send_to(near, "direct", Addr::PortOf(far, LOCAL4));
            s.recv_from(far, 16).gives("direct");
        },
    );
    theme.case("a source membership hears that source alone", |s| {
        let (near, far) = sender_and_receiver(s);
        let stranger = s.socket(UDP4);
        s.bind(stranger, any_port(Ipv4Addr::new(127, 0, 0, 2)));
        s.set_bytes(
            stranger,
            SOL_IP,
            IP_MULTICAST_IF,
            Ipv4Addr::LOCALHOST.octets(),
        );
        s.set_bytes(
            far,
            SOL_IP,
            IP_ADD_SOURCE_MEMBERSHIP,
            source(Ipv4Addr::LOCALHOST),
        );
        send(s, stranger, far, "stranger");
        send(s, near, far, "source");
        s.recv_from(far, 16).gives("source");
        s.set_bytes(
            far,
            SOL_IP,
            IP_ADD_SOURCE_MEMBERSHIP,
            source(Ipv4Addr::LOCALHOST),
        )
        .fails("EADDRNOTAVAIL");
        s.set_bytes(
            far,
            SOL_IP,
            IP_DROP_SOURCE_MEMBERSHIP,
            source(Ipv4Addr::LOCALHOST),
        );
        s.set_bytes(
            far,
            SOL_IP,
            IP_DROP_SOURCE_MEMBERSHIP,
            source(Ipv4Addr::LOCALHOST),
        )
        .either();
    });
    theme.case("a blocked source is not heard until it is unblocked", |s| {
        let (near, far) = sender_and_receiver(s);
        s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
        s.set_bytes(far, SOL_IP, IP_BLOCK_SOURCE, source(Ipv4Addr::LOCALHOST));
        send(s, near, far, "blocked");
        s.set_bytes(far, SOL_IP, IP_UNBLOCK_SOURCE, source(Ipv4Addr::LOCALHOST));
        send(s, near, far, "heard");
        s.recv_from(far, 16).gives("heard");
        s.set_bytes(far, SOL_IP, IP_UNBLOCK_SOURCE, source(Ipv4Addr::LOCALHOST))
            .fails("EADDRNOTAVAIL");
    });
    theme.case("a connected socket sends to a group", |s| {
        let (near, far) = sender_and_receiver(s);
        s.set_bytes(far, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP));
        s.connect(near, Addr::PortOf(far, (*GROUP).into()));
        s.send(near, "connected");
        s.recv_from(far, 16).gives("connected");
        s.peer_name(near).gives(GROUP.to_string());
    });
    theme.case("memberships are datagram sockets' alone", |s| {
        let socket = s.socket(TCP4);
        s.set_bytes(socket, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP))
            .either();
        let unix = s.socket(UNIX_DGRAM);
        s.set_bytes(unix, SOL_IP, IP_ADD_MEMBERSHIP, membership(*GROUP))
            .fails("EOPNOTSUPP");
    });
    theme.case("MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP", |s| {
        let (near, far) = sender_and_receiver(s);
        s.set_bytes(far, SOL_IP, libc::MCAST_JOIN_GROUP, group_request(*GROUP));
        send(s, near, far, "joined");
        s.recv_from(far, 16).gives("joined");
        s.set_bytes(far, SOL_IP, libc::MCAST_LEAVE_GROUP, group_request(*GROUP));
        s.set_bytes(far, SOL_IP, libc::MCAST_LEAVE_GROUP, group_request(*GROUP))
            .fails("EADDRNOTAVAIL");
    });
    theme.case_with(
        "IPv6: a member hears what is sent to the group, until it leaves",
        Need::Ipv6,
        |s| {
            let near = s.socket(UDP6);
            s.set(near, SOL_IPV6, IPV6_MULTICAST_IF, 1);
            s.get(near, SOL_IPV6, IPV6_MULTICAST_IF)
                .gives("[1, 0, 0, 0]");
            s.set(near, SOL_IPV6, IPV6_MULTICAST_HOPS, 3);
            s.get(near, SOL_IPV6, IPV6_MULTICAST_HOPS)
                .gives("[3, 0, 0, 0]");
            s.get(near, SOL_IPV6, IPV6_MULTICAST_LOOP)
                .gives("[1, 0, 0, 0]");
            let far = s.socket(UDP6);
            s.bind(far, any_port(Ipv6Addr::UNSPECIFIED));
            s.set_bytes(far, SOL_IPV6, IPV6_ADD_MEMBERSHIP, membership6());
            s.set_bytes(far, SOL_IPV6, IPV6_ADD_MEMBERSHIP, membership6())
                .fails("EADDRINUSE");
            let to = || Addr::PortOf(far, (*GROUP6).into());
            s.send_to(near, "joined", to()).either();
            s.send_to(near, "direct", Addr::PortOf(far, LOCAL6));
            s.recv_from(far, 16).either();
            s.set_bytes(far, SOL_IPV6, IPV6_DROP_MEMBERSHIP, membership6());
            s.set_bytes(far, SOL_IPV6, IPV6_DROP_MEMBERSHIP, membership6())
                .fails("EADDRNOTAVAIL");
        },
    );
    theme
}

/// A sender that sends by the loopback, and a receiver on any address.
fn sender_and_receiver(s: &mut Script) -> (Slot, Slot) {
    let near = s.bound(UDP4);
    s.set_bytes(near, SOL_IP, IP_MULTICAST_IF, Ipv4Addr::LOCALHOST.octets());
    let far = s.socket(UDP4);
    s.bind(far, any_port(Ipv4Addr::UNSPECIFIED));
    (near, far)
}

fn send(s: &mut Script, near: Slot, far: Slot, data: &str) {
    s.send_to(near, data, Addr::PortOf(far, (*GROUP).into()));
}

/// struct ip_mreq, by the loopback.
fn membership(group: Ipv4Addr) -> Vec<u8> {
    [group.octets(), Ipv4Addr::LOCALHOST.octets()].concat()
}

/// struct ip_mreq_source, by the loopback.
fn source(source: Ipv4Addr) -> Vec<u8> {
    [
        GROUP.octets(),
        Ipv4Addr::LOCALHOST.octets(),
        source.octets(),
    ]
    .concat()
}

/// struct ipv6_mreq, by the loopback.
fn membership6() -> Vec<u8> {
    let mut value = GROUP6.octets().to_vec();
    value.extend(1u32.to_ne_bytes());
    value
}

/// struct group_req, by the loopback.
fn group_request(group: Ipv4Addr) -> Vec<u8> {
    let mut value = 1u32.to_ne_bytes().to_vec();
    value.resize(8, 0);
    value.extend(
        u16::try_from(libc::AF_INET)
            .expect("a small number")
            .to_ne_bytes(),
    );
    value.extend([0; 2]);
    value.extend(group.octets());
    value.resize(8 + 128, 0);
    value
}
