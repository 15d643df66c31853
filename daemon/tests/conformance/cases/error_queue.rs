//! The error queue: IP_RECVERR, MSG_ERRQUEUE.

use libc::{
    IP_RECVERR, IPV6_RECVERR, MSG_DONTWAIT, MSG_ERRQUEUE, POLLERR, POLLIN, SOL_IP, SOL_IPV6,
    SOL_SOCKET,
};

use crate::{call::Kind, call::Slot, kinds::*, script::Script, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();
    let kinds = [("udp4", UDP4), ("udp6", UDP6)];

    theme.each(
        &kinds,
        "an empty error queue is EAGAIN, and never waited for",
        |s, kind| {
            let socket = queueing(s, kind);
            s.recv(socket, 16).flags(MSG_ERRQUEUE).fails("EAGAIN");
            s.recv_messages(socket, 1)
                .flags(MSG_ERRQUEUE)
                .fails("EAGAIN");
        },
    );
    theme.each(
        &kinds,
        "an ICMP error is queued with what was sent, to whom, and who reports it",
        |s, kind| {
            let address = s.deaf(kind);
            let socket = queueing(s, kind);
            s.send_to(socket, "anybody?", address);
            s.poll_until(&[(socket, POLLIN)]).gives("ERR");
            s.recv_messages(socket, 1)
                .flags(MSG_ERRQUEUE)
                .gives("anybody?")
                .gives("errno: 111");
            s.recv_messages(socket, 1)
                .flags(MSG_ERRQUEUE)
                .fails("EAGAIN");
            s.error_of(socket);
        },
    );
    theme.each(
        &kinds,
        "the error is told to the next call as well",
        |s, kind| {
            let address = s.deaf(kind);
            let socket = queueing(s, kind);
            s.send_to(socket, "anybody?", address.clone());
            s.poll_until(&[(socket, POLLERR)]);
            s.recv(socket, 16).flags(MSG_DONTWAIT).fails("ECONNREFUSED");
            s.recv(socket, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
            // Reading the error did not empty the queue.
            s.poll(&[(socket, POLLIN)]).gives("ERR");
            s.recv_from(socket, 4).flags(MSG_ERRQUEUE);
            s.poll(&[(socket, POLLIN)]).gives("[]");
        },
    );
    theme.each(
        &kinds,
        "an unread error queue does not keep a receive from waiting",
        |s, kind| {
            let address = s.deaf(kind);
            let socket = queueing(s, kind);
            s.send_to(socket, "anybody?", address);
            s.poll_until(&[(socket, POLLERR)]);
            s.recv(socket, 16).flags(MSG_DONTWAIT).fails("ECONNREFUSED");
            let begun = s.recv(socket, 16).gives("x").starts();
            s.waits(begun);
            let other = s.bound(kind);
            s.send_to(other, "x", socket);
            s.finish(begun);
        },
    );
    theme.each(&kinds, "several errors are queued in order", |s, kind| {
        let address = s.deaf(kind);
        let socket = queueing(s, kind);
        s.send_to(socket, "one", address.clone());
        s.poll_until(&[(socket, POLLERR)]);
        s.error_of(socket);
        s.send_to(socket, "two", address);
        s.recv_messages(socket, 1).flags(MSG_ERRQUEUE).gives("one");
        s.poll_until(&[(socket, POLLERR)]);
        s.recv_messages(socket, 4).flags(MSG_ERRQUEUE).gives("two");
    });
    theme.each(
        &[("udp4", UDP4)],
        "what is too long for the path is a local error",
        |s, kind| {
            let far = s.bound(kind);
            let socket = queueing(s, kind);
            s.set(socket, SOL_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO);
            s.send_to(socket, vec![0; 65_508], far).fails("EMSGSIZE");
            s.recv_messages(socket, 1).flags(MSG_ERRQUEUE).either();
        },
    );
    theme.each(
        &kinds,
        "transmit time stamps come by the error queue",
        |s, kind| {
            // SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE, _OPT_TSONLY.
            let (near, _far) = s.associated(kind);
            s.set(
                near,
                SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                1 << 1 | 1 << 4 | 1 << 11,
            );
            s.send(near, "x");
            s.poll_until(&[(near, POLLERR)]);
            s.recv_messages(near, 1)
                .flags(MSG_ERRQUEUE)
                .gives("software=now");
        },
    );
    theme.each(&TCP, "a stream has an error queue", |s, kind| {
        let (near, _far) = s.connected(kind);
        s.recv(near, 16).flags(MSG_ERRQUEUE).fails("EAGAIN");
    });
    theme.each(
        &UNIX,
        "there is no error queue: the flag means nothing",
        |s, kind| {
            let (near, far) = s.pair(kind);
            let begun = s.recv(near, 16).flags(MSG_ERRQUEUE).gives("x").starts();
            s.waits(begun);
            s.send(far, "x");
            s.finish(begun);
        },
    );
    theme
}

/// A socket whose errors are queued.
fn queueing(s: &mut Script, kind: Kind) -> Slot {
    let socket = s.bound(kind);
    if kind == UDP6 {
        s.set(socket, SOL_IPV6, IPV6_RECVERR, 1);
    } else {
        s.set(socket, SOL_IP, IP_RECVERR, 1);
    }
    socket
}
