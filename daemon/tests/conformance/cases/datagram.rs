//! Datagrams, connected or not: who hears whom, and the errors that come back.

use farsock_client::Address;
use libc::{MSG_DONTWAIT, MSG_PEEK, POLLIN, SO_BROADCAST, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET};

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    call::Addr,
    kinds::*,
    theme::{Need, Theme},
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &DATAGRAMS,
        "a connected socket hears its peer alone",
        |s, kind| {
            let near = s.bound(kind);
            let peer = s.bound(kind);
            let stranger = s.bound(kind);
            s.connect(near, peer);
            // unix: EPERM; internet: dropped.
            s.send_to(stranger, "psst", near).either();
            s.send_to(peer, "hello", near);
            s.recv_from(near, 16).gives("hello");
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(
        &DATAGRAMS,
        "what came before the connect stays, whoever sent it",
        |s, kind| {
            let near = s.bound(kind);
            let peer = s.bound(kind);
            let stranger = s.bound(kind);
            s.send_to(stranger, "early", near);
            s.until_readable(near);
            s.connect(near, peer);
            // unix drops it, internet keeps it.
            s.recv_from(near, 16).flags(MSG_DONTWAIT).either();
        },
    );
    theme.each(&DATAGRAMS, "connect changes the peer", |s, kind| {
        let near = s.bound(kind);
        let first = s.bound(kind);
        let second = s.bound(kind);
        s.connect(near, first);
        s.send(near, "one");
        s.connect(near, second);
        s.peer_name(near);
        s.send(near, "two");
        s.recv(first, 16).gives("one");
        s.recv(second, 16).gives("two");
    });
    theme.each(
        &DATAGRAMS,
        "AF_UNSPEC dissolves the association",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.connect(near, Address::Unspecified);
            s.peer_name(near).fails("ENOTCONN");
            s.send(near, "x").fails(if kind.domain == libc::AF_UNIX {
                "ENOTCONN"
            } else {
                "EDESTADDRREQ"
            });
            s.send_to(near, "to", far);
            s.recv(far, 16).gives("to");
            s.sock_name(near);
        },
    );
    theme.each(
        &UDP,
        "AF_UNSPEC takes a chosen port away, and keeps one that was asked for",
        |s, kind| {
            let far = s.bound(kind);
            let near = s.socket(kind);
            s.connect(near, far);
            s.sock_name(near);
            s.connect(near, Address::Unspecified);
            s.sock_name(near).either();
        },
    );
    theme.each(&DATAGRAMS, "an address overrides the peer", |s, kind| {
        let (near, far) = s.associated(kind);
        let other = s.bound(kind);
        s.send_to(near, "other", other);
        s.send(near, "peer");
        s.recv(other, 16).gives("other");
        s.recv(far, 16).gives("peer");
    });
    theme.each(
        &DATAGRAMS,
        "without a peer or an address a send fails",
        |s, kind| {
            let socket = s.bound(kind);
            s.send(socket, "x").fails(if kind.domain == libc::AF_UNIX {
                "ENOTCONN"
            } else {
                "EDESTADDRREQ"
            });
        },
    );
    theme.each(
        &UDP,
        "ICMP tells a connected socket that nobody listens",
        |s, kind| {
            let address = s.deaf(kind);
            let near = s.socket(kind);
            s.connect(near, address);
            s.send(near, "anybody?");
            s.poll_until(&[(near, POLLIN)]).gives("ERR");
            s.send(near, "again").fails("ECONNREFUSED");
            s.send(near, "and again");
        },
    );
    theme.each(
        &UDP,
        "ICMP ends a receive that waits on a connected socket",
        |s, kind| {
            let address = s.deaf(kind);
            let near = s.socket(kind);
            s.connect(near, address);
            let begun = s.recv(near, 16).fails("ECONNREFUSED").starts();
            s.waits(begun);
            s.send(near, "anybody?");
            s.finish(begun);
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(&UDP, "SO_ERROR takes ICMP's error", |s, kind| {
        let address = s.deaf(kind);
        let near = s.socket(kind);
        s.connect(near, address);
        s.send(near, "anybody?");
        s.poll_until(&[(near, POLLIN)]);
        s.error_of(near).gives("[111, 0, 0, 0]");
        s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.each(
        &UDP,
        "an unconnected socket hears nothing of ICMP",
        |s, kind| {
            let address = s.deaf(kind);
            let near = s.bound(kind);
            s.send_to(near, "anybody?", address.clone());
            s.send_to(near, "nobody", address);
            s.error_of(near).gives("[0, 0, 0, 0]");
        },
    );
    theme.each(&DATAGRAMS, "a receive waits for a datagram", |s, kind| {
        let (near, far) = s.associated(kind);
        let begun = s.recv_from(far, 16).gives("late").starts();
        s.waits(begun);
        s.send(near, "late");
        s.finish(begun);
    });
    theme.each(
        &DATAGRAMS,
        "two receives wait, and the datagrams come in order",
        |s, kind| {
            let (near, far) = s.associated(kind);
            let begun = s.recv(far, 16).gives("one").starts();
            s.waits(begun);
            s.send(near, "one");
            s.finish(begun);
            s.send(near, "two");
            s.send(near, "three");
            s.recv(far, 16).gives("two");
            s.recv(far, 16).gives("three");
        },
    );
    theme.each(
        &MESSAGES,
        "SO_RCVTIMEO ends a receive in EAGAIN",
        |s, kind| {
            let (_near, far) = s.messengers(kind);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(20));
            s.recv(far, 16).fails("EAGAIN");
            s.recv_from(far, 16).fails("EAGAIN");
        },
    );
    theme.each(&MESSAGES, "MSG_PEEK leaves the message there", |s, kind| {
        let (near, far) = s.messengers(kind);
        s.send(near, "peek");
        s.recv(far, 16).flags(MSG_PEEK).gives("peek");
        s.recv_from(far, 16).flags(MSG_PEEK).gives("peek");
        s.recv(far, 16).gives("peek");
        s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.each(
        &MESSAGES,
        "MSG_WAITALL does not join messages",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "ab");
            s.send(near, "cd");
            s.recv(far, 4).flags(libc::MSG_WAITALL).gives("\"ab\"");
            s.recv(far, 4).gives("\"cd\"");
        },
    );
    theme.each(
        &MESSAGES,
        "a message longer than any may be is EMSGSIZE",
        |s, kind| {
            let (near, _far) = s.messengers(kind);
            s.send(near, vec![0; 400_000]).fails("EMSGSIZE");
        },
    );
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "the longest datagram, and one byte more",
        |s, kind| {
            let (near, far) = s.associated(kind);
            let most = if kind == UDP4 { 65_507 } else { 65_527 };
            s.send(near, super::stream::long(most));
            s.recv(far, 70_000).gives(format!("{most} bytes"));
            s.send(near, vec![0; most + 1]).fails("EMSGSIZE");
        },
    );
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "MSG_MORE joins sends into one datagram",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.send(near, "one ").flags(libc::MSG_MORE);
            s.send(near, "datagram");
            s.recv(far, 64).gives("one datagram");
        },
    );
    theme.case(
        "unix dgram: a full receiver keeps a send waiting until it reads",
        |s| {
            let (near, far) = s.associated(UNIX_DGRAM);
            s.fill(near);
            let begun = s.send(near, "last").starts();
            s.waits(begun);
            s.drain(far, "last");
            s.finish(begun);
        },
    );
    theme.case(
        "unix dgram: a full receiver keeps a send with an address waiting",
        |s| {
            let (filler, far) = s.associated(UNIX_DGRAM);
            let near = s.bound(UNIX_DGRAM);
            s.fill(filler);
            let begun = s.send_to(near, "last", far).starts();
            s.waits(begun);
            s.drain(far, "last");
            s.finish(begun);
        },
    );
    theme.case(
        "unix dgram: SO_SNDTIMEO ends a send to a full receiver",
        |s| {
            let (near, _far) = s.associated(UNIX_DGRAM);
            s.fill(near);
            s.time_limit(near, SO_SNDTIMEO, Duration::from_millis(20));
            s.send(near, "x").fails("EAGAIN");
        },
    );
    theme.case(
        "unix dgram: a send that waits ends when the receiver closes",
        |s| {
            let (near, far) = s.associated(UNIX_DGRAM);
            s.fill(near);
            let begun = s.send(near, "x").fails("ECONNREFUSED").starts();
            s.waits(begun);
            s.close(far);
            s.finish(begun);
        },
    );
    theme.case("unix dgram: nobody there", |s| {
        let near = s.socket(UNIX_DGRAM);
        s.send_to(near, "x", Addr::Path("nobody".to_owned()))
            .fails("ENOENT");
        s.send_to(near, "x", Addr::Abstract("nobody".to_owned()))
            .fails("ECONNREFUSED");
    });
    theme.case("unix dgram: the peer is gone, the socket is not", |s| {
        let (near, far) = s.associated(UNIX_DGRAM);
        s.close(far);
        s.send(near, "x").fails("ECONNREFUSED");
        s.send(near, "x").fails("ENOTCONN");
    });
    theme.case(
        "unix dgram: a connected peer that is connected elsewhere is EPERM",
        |s| {
            let (_near, far) = s.associated(UNIX_DGRAM);
            let elsewhere = s.bound(UNIX_DGRAM);
            s.connect(far, elsewhere);
            let stranger = s.bound(UNIX_DGRAM);
            s.send_to(stranger, "x", far).fails("EPERM");
            s.connect(stranger, far).fails("EPERM");
        },
    );
    theme.case("udp4: broadcast needs SO_BROADCAST", |s| {
        let near = s.socket(UDP4);
        s.send_to(near, "x", ip(Ipv4Addr::new(127, 255, 255, 255), 9))
            .fails("EACCES");
        s.set(near, SOL_SOCKET, SO_BROADCAST, 1);
        s.send_to(near, "x", ip(Ipv4Addr::new(127, 255, 255, 255), 9));
    });
    theme.case("udp4: port 0 is no destination", |s| {
        let near = s.socket(UDP4);
        s.send_to(near, "x", ip(LOCAL4, 0)).fails("EINVAL");
        s.connect(near, ip(LOCAL4, 0)).either();
    });
    theme.case("udp4: an address of another family", |s| {
        let near = s.socket(UDP4);
        s.send_to(near, "x", ip(LOCAL6, 9)).fails("EAFNOSUPPORT");
        s.send_to(near, "x", Addr::Path("nobody-at-all".to_owned()))
            .fails("EAFNOSUPPORT");
        s.send_to(near, "x", Address::Unspecified).either();
    });
    theme.case_with("udp6: an IPv4 address", Need::Ipv6, |s| {
        let near = s.socket(UDP6);
        s.send_to(near, "x", ip(LOCAL4, 9)).either();
        s.connect(near, ip(LOCAL4, 9)).either();
        s.peer_name(near).either();
    });
    theme.case("udp4: SO_BINDTODEVICE lo hears the loopback", |s| {
        let near = s.socket(UDP4);
        let far = s.socket(UDP4);
        s.set_bytes(far, SOL_SOCKET, libc::SO_BINDTODEVICE, "lo\0")
            .either();
        s.bind(far, any_port(LOCAL4));
        s.send_to(near, "by lo", far);
        s.recv(far, 16).gives("by lo");
        s.call(crate::call::Call::GetOpt {
            socket: far,
            level: SOL_SOCKET,
            number: libc::SO_BINDTODEVICE,
            room: 16,
        })
        .either();
        s.set_bytes(far, SOL_SOCKET, libc::SO_BINDTODEVICE, "no-such-device\0")
            .either();
    });
    theme.case(
        "udp4: SO_DONTROUTE and MSG_DONTROUTE reach the loopback",
        |s| {
            let (near, far) = s.associated(UDP4);
            s.send(near, "x").flags(libc::MSG_DONTROUTE);
            s.recv(far, 16).gives("x");
        },
    );
    theme
}
