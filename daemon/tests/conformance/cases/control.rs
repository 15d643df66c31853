//! Control messages of datagrams: what is received with one, and what is sent with one.

use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{
    IP_PKTINFO, IP_RECVORIGDSTADDR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IPV6_HOPLIMIT,
    IPV6_RECVHOPLIMIT, IPV6_RECVORIGDSTADDR, IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_TCLASS,
    SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPNS, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP, UDP_GRO,
    UDP_SEGMENT,
};

use crate::{
    call::{Call, Ctl},
    kinds::*,
    script::out,
    theme::{Need, Theme},
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    let received4: [(&str, i32, &str); 4] = [
        ("IP_PKTINFO", IP_PKTINFO, "pktinfo=1,127.0.0.1,127.0.0.1"),
        ("IP_RECVTTL", IP_RECVTTL, "ttl=64"),
        ("IP_RECVTOS", IP_RECVTOS, "tos=0"),
        (
            "IP_RECVORIGDSTADDR",
            IP_RECVORIGDSTADDR,
            "OriginalDestination(127.0.0.1:",
        ),
    ];
    for (name, option, text) in received4 {
        for (kind_name, kind) in [("udp4", UDP4), ("udplite4", UDPLITE4)] {
            theme.add(
                format!("{kind_name}: {name} tells"),
                (kind == UDPLITE4).then_some(Need::Kind(kind)),
                |s| {
                    let (near, far) = s.associated(kind);
                    s.set(far, SOL_IP, option, 1);
                    s.send(near, "x");
                    s.recv_messages(far, 1).gives(text);
                    s.set(far, SOL_IP, option, 0);
                    s.send(near, "y");
                    s.recv_messages(far, 1);
                },
            );
        }
    }
    let received6: [(&str, i32, &str); 4] = [
        ("IPV6_RECVPKTINFO", IPV6_RECVPKTINFO, "pktinfo6=::1,1"),
        ("IPV6_RECVHOPLIMIT", IPV6_RECVHOPLIMIT, "hoplimit=64"),
        ("IPV6_RECVTCLASS", IPV6_RECVTCLASS, "tclass=0"),
        (
            "IPV6_RECVORIGDSTADDR",
            IPV6_RECVORIGDSTADDR,
            "OriginalDestination([::1]:",
        ),
    ];
    for (name, option, text) in received6 {
        theme.case_with(format!("udp6: {name} tells"), Need::Ipv6, |s| {
            let (near, far) = s.associated(UDP6);
            s.set(far, SOL_IPV6, option, 1);
            s.send(near, "x");
            s.recv_messages(far, 1).gives(text);
        });
    }
    let stamps = [
        ("SO_TIMESTAMP", SO_TIMESTAMP, "timestamp=now"),
        ("SO_TIMESTAMPNS", SO_TIMESTAMPNS, "timestampns=now"),
    ];
    for (name, option, text) in stamps {
        for (kind_name, kind) in [("udp4", UDP4), ("unix dgram", UNIX_DGRAM)] {
            theme.case(format!("{kind_name}: {name} tells when"), |s| {
                let (near, far) = s.associated(kind);
                s.set(far, SOL_SOCKET, option, 1);
                s.send(near, "x");
                let step = s.recv_messages(far, 1);
                if kind == UDP4 {
                    step.gives(text);
                }
            });
        }
    }
    theme.each(
        &TCP,
        "MSG_WAITALL tells when the last part came",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_TIMESTAMP, 1);
            let begun = s
                .recv_messages(far, 1)
                .flags(libc::MSG_WAITALL)
                .gives("abcdef")
                .starts();
            s.waits(begun);
            s.send(near, "abc");
            s.waits(begun);
            s.send(near, "def");
            s.waits(begun);
            s.shutdown(near, libc::SHUT_WR);
            s.finish(begun);
        },
    );
    theme.case(
        "udp4: several control messages, in the kernel's order",
        |s| {
            let (near, far) = s.associated(UDP4);
            for option in [IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IP_RECVORIGDSTADDR] {
                s.set(far, SOL_IP, option, 1);
            }
            s.set(far, SOL_SOCKET, SO_TIMESTAMP, 1);
            s.set(far, SOL_SOCKET, SO_RXQ_OVFL, 1);
            s.send(near, "x");
            s.recv_messages(far, 1);
        },
    );
    theme.case("udp4: no room for control messages is CTRUNC", |s| {
        let (near, far) = s.associated(UDP4);
        s.set(far, SOL_IP, IP_PKTINFO, 1);
        s.set(far, SOL_IP, IP_RECVTTL, 1);
        for control in [0, 16, 24, 32, 56, 64] {
            s.send(near, "x");
            s.call(Call::RecvMessages {
                socket: far,
                count: 1,
                length: 16,
                control,
                flags: 0,
            });
        }
        // A plain receive has no room for any.
        s.send(near, "x");
        s.recv(far, 16).gives("CTRUNC");
    });
    theme.case("udp4: IP_TTL and IP_TOS of one message", |s| {
        let (near, far) = s.associated(UDP4);
        s.set(far, SOL_IP, IP_RECVTTL, 1);
        s.set(far, SOL_IP, IP_RECVTOS, 1);
        let message = out("x")
            .with(Ctl::Int(SOL_IP, IP_TTL, 7))
            .with(Ctl::Int(SOL_IP, IP_TOS, 0x10));
        s.send_messages(near, vec![message]);
        s.recv_messages(far, 1).gives("ttl=7").gives("tos=16");
    });
    theme.case("udp4: values out of range are EINVAL", |s| {
        let (near, _far) = s.associated(UDP4);
        // In bytes: the API's own field has the kernel's range.
        for (kind, value) in [(IP_TTL, 256), (IP_TTL, 0), (IP_TOS, 256)] {
            let bytes = i32::to_ne_bytes(value).to_vec();
            s.send_messages(near, vec![out("x").with(Ctl::Raw(SOL_IP, kind, bytes))])
                .fails("EINVAL");
        }
    });
    theme.case("udp4: the source address of one message", |s| {
        let near = s.socket(UDP4);
        s.bind(near, any_port(Ipv4Addr::UNSPECIFIED));
        let far = s.bound(UDP4);
        let source = Ipv4Addr::new(127, 0, 0, 99);
        let message = out("x").to(far).with(Ctl::PacketInfo(0, source));
        s.send_messages(near, vec![message]);
        s.recv_messages(far, 1).gives("from 127.0.0.99");
        let nobody = Ipv4Addr::new(192, 0, 2, 1);
        let message = out("x").to(far).with(Ctl::PacketInfo(0, nobody));
        s.send_messages(near, vec![message]).either();
        let message = out("x")
            .to(far)
            .with(Ctl::PacketInfo(9999, Ipv4Addr::UNSPECIFIED));
        s.send_messages(near, vec![message]).fails("ENODEV");
    });
    theme.case_with(
        "udp6: hop limit and traffic class of one message",
        Need::Ipv6,
        |s| {
            let (near, far) = s.associated(UDP6);
            s.set(far, SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
            s.set(far, SOL_IPV6, IPV6_RECVTCLASS, 1);
            let message = out("x")
                .with(Ctl::Int(SOL_IPV6, IPV6_HOPLIMIT, 9))
                .with(Ctl::Int(SOL_IPV6, IPV6_TCLASS, 0x20));
            s.send_messages(near, vec![message]);
            s.recv_messages(far, 1)
                .gives("hoplimit=9")
                .gives("tclass=32");
            let most = 256i32.to_ne_bytes().to_vec();
            let message = out("x").with(Ctl::Raw(SOL_IPV6, IPV6_HOPLIMIT, most));
            s.send_messages(near, vec![message]).fails("EINVAL");
            let message = out("x").with(Ctl::Int(SOL_IPV6, IPV6_HOPLIMIT, -1));
            s.send_messages(near, vec![message]);
        },
    );
    theme.case_with("udp6: the source address of one message", Need::Ipv6, |s| {
        let near = s.socket(UDP6);
        let far = s.bound(UDP6);
        let message = out("x")
            .to(far)
            .with(Ctl::PacketInfo6(0, Ipv6Addr::LOCALHOST));
        s.send_messages(near, vec![message]);
        let nobody = "2001:db8::1".parse().expect("an address");
        let message = out("x").to(far).with(Ctl::PacketInfo6(0, nobody));
        s.send_messages(near, vec![message]).either();
        s.recv_messages(far, 1).gives("from [::1]");
    });
    theme.case(
        "udp4: a control message of another family is ignored or refused",
        |s| {
            let (near, _far) = s.associated(UDP4);
            s.send_messages(
                near,
                vec![out("x").with(Ctl::Int(SOL_IPV6, IPV6_HOPLIMIT, 9))],
            )
            .either();
            s.send_messages(near, vec![out("x").with(Ctl::Raw(SOL_IP, 99, vec![0; 4]))])
                .either();
            s.send_messages(
                near,
                vec![out("x").with(Ctl::Raw(SOL_IP, IP_TTL, vec![0; 3]))],
            )
            .either();
            s.send_messages(
                near,
                vec![out("x").with(Ctl::Raw(SOL_SOCKET, 99, vec![0; 4]))],
            )
            .either();
        },
    );
    theme.case("udp4: UDP_SEGMENT cuts a long send", |s| {
        let (near, far) = s.associated(UDP4);
        let long = super::stream::long(2_500);
        s.send_messages(near, vec![out(&long).with(Ctl::Segment(1_000))]);
        s.recv(far, 4_096).gives("1000 bytes");
        s.recv(far, 4_096).gives("1000 bytes");
        s.recv(far, 4_096).gives("500 bytes");
        // By option, for every send.
        s.set(near, SOL_UDP, UDP_SEGMENT, 1_200);
        s.send(near, &long);
        for length in [1_200, 1_200, 100] {
            s.recv(far, 4_096).gives(format!("{length} bytes"));
        }
    });
    theme.case("udp4: UDP_GRO puts datagrams together", |s| {
        let (near, far) = s.associated(UDP4);
        s.set(far, SOL_UDP, UDP_GRO, 1);
        let long = super::stream::long(2_500);
        s.send_messages(near, vec![out(&long).with(Ctl::Segment(1_000))]);
        s.call(Call::RecvMessages {
            socket: far,
            count: 1,
            length: 8_192,
            control: 64,
            flags: 0,
        })
        .gives("gro=1000");
    });
    theme.case("tcp4: a control message of a stream", |s| {
        let (near, far) = s.connected(TCP4);
        s.send_messages(near, vec![out("x").with(Ctl::Int(SOL_IP, IP_TTL, 7))])
            .either();
        s.send(near, "y");
        s.recv_messages(far, 1).either();
    });
    theme
}
