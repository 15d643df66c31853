//! Sockets and credentials that travel over unix sockets: SCM_RIGHTS, SCM_CREDENTIALS.

use libc::{MSG_PEEK, SO_PASSCRED, SOL_SOCKET};

use super::close::fill;
use crate::{
    call::{Call, Ctl},
    kinds::*,
    script::out,
    theme::Theme,
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &UNIX,
        "a socket travels, and works at its new owner's",
        |s, kind| {
            let (near, far) = s.pair(kind);
            let (travels, stays) = s.pair(UNIX_STREAM);
            s.send_messages(
                near,
                vec![out("with a socket").with(Ctl::Rights(vec![travels]))],
            );
            let received = s.slot();
            s.recv_messages(far, 1)
                .makes(&[received])
                .gives("with a socket");
            s.send(received, "by the received one");
            s.recv(stays, 64).gives("by the received one");
            // The sender still has it.
            s.send(travels, "by the other one");
            s.recv(stays, 64).gives("by the other one");
            s.close(travels);
            s.send(received, "open still");
            s.recv(stays, 64).gives("open still");
            s.close(received);
            s.recv(stays, 64).gives("end");
        },
    );
    theme.each(&UNIX, "a listener travels", |s, kind| {
        let (near, far) = s.pair(kind);
        let listener = s.listener(TCP4);
        s.send_messages(near, vec![out("l").with(Ctl::Rights(vec![listener]))]);
        let received = s.slot();
        s.recv_messages(far, 1).makes(&[received]);
        let client = s.socket(TCP4);
        s.connect(client, listener);
        let server = s.accept(received);
        s.send(client, "x");
        s.recv(server, 16).gives("x");
    });
    theme.each(&UNIX, "a socket travels with its options", |s, kind| {
        let (near, far) = s.pair(kind);
        let (travels, stays) = s.pair(UNIX_STREAM);
        s.set(travels, SOL_SOCKET, libc::SO_RCVLOWAT, 6);
        s.send_messages(near, vec![out("x").with(Ctl::Rights(vec![travels]))]);
        let received = s.slot();
        s.recv_messages(far, 1).makes(&[received]);
        s.close(travels);
        let begun = s.recv(received, 16).gives("abcdef").starts();
        s.waits(begun);
        s.send(stays, "abc");
        s.waits(begun);
        s.send(stays, "def");
        s.finish(begun);
    });
    theme.each(&UNIX, "several sockets travel in order", |s, kind| {
        let (near, far) = s.pair(kind);
        let udp = s.bound(UDP4);
        let tcp = s.bound(TCP4);
        let (unix, _) = s.pair(UNIX_DGRAM);
        s.send_messages(
            near,
            vec![out("three").with(Ctl::Rights(vec![udp, tcp, unix]))],
        );
        let received = [s.slot(), s.slot(), s.slot()];
        s.recv_messages(far, 1).makes(&received);
        s.sock_name(received[0]);
        s.get(received[0], SOL_SOCKET, libc::SO_TYPE);
        s.sock_name(received[1]);
        s.get(received[1], SOL_SOCKET, libc::SO_TYPE);
        s.get(received[2], SOL_SOCKET, libc::SO_DOMAIN);
    });
    theme.each(
        &UNIX,
        "a plain receive closes what it has no room for",
        |s, kind| {
            let (near, far) = s.pair(kind);
            let (travels, stays) = s.pair(UNIX_STREAM);
            s.send_messages(near, vec![out("x").with(Ctl::Rights(vec![travels]))]);
            s.close(travels);
            s.recv(far, 16).gives("CTRUNC");
            s.recv(stays, 16).gives("end");
        },
    );
    theme.each(
        &UNIX,
        "a socket on its way keeps its peer waiting",
        |s, kind| {
            let (near, far) = s.pair(kind);
            let (travels, stays) = s.pair(UNIX_STREAM);
            s.send(travels, "before");
            s.send_messages(near, vec![out("x").with(Ctl::Rights(vec![travels]))]);
            s.close(travels);
            s.recv(stays, 16).gives("before");
            let begun = s.recv(stays, 16).gives("end").starts();
            s.waits(begun);
            // It dies with the socket that it is queued at.
            s.close(far);
            s.finish(begun);
        },
    );
    theme.each(
        &UNIX,
        "a socket that waits to be sent can be closed, and is open until it arrives",
        |s, kind| {
            let (near, far) = s.pair(kind);
            let (travels, stays) = s.pair(UNIX_STREAM);
            fill(s, near, far);
            let message = out("last").with(Ctl::Rights(vec![travels]));
            let sent = s.send_messages(near, vec![message]).starts();
            s.waits(sent);
            s.close(travels);
            let end = s.recv(stays, 16).gives("end").starts();
            s.waits(end);
            s.drain(far, "last");
            s.finish(sent);
            s.finish(end);
        },
    );
    theme.each(&UNIX, "MSG_PEEK makes a copy", |s, kind| {
        let (near, far) = s.pair(kind);
        let (travels, stays) = s.pair(UNIX_STREAM);
        s.send_messages(near, vec![out("x").with(Ctl::Rights(vec![travels]))]);
        let peeked = s.slot();
        s.recv_messages(far, 1).flags(MSG_PEEK).makes(&[peeked]);
        let received = s.slot();
        s.recv_messages(far, 1).makes(&[received]);
        s.send(peeked, "a");
        s.send(received, "b");
        s.recv(stays, 2).flags(libc::MSG_WAITALL).gives("ab");
    });
    theme.each(&UNIX, "room for one of two sockets", |s, kind| {
        let (near, far) = s.pair(kind);
        let (travels, _stays) = s.pair(UNIX_STREAM);
        s.send_messages(
            near,
            vec![out("x").with(Ctl::Rights(vec![travels, travels]))],
        );
        let received = s.slot();
        s.call(Call::RecvMessages {
            socket: far,
            count: 1,
            length: 16,
            control: 20,
            flags: 0,
        })
        .makes(&[received])
        .gives("CTRUNC");
    });
    theme.case(
        "unix stream: a receive does not run past a message with sockets",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, _stays) = s.pair(UNIX_STREAM);
            s.send(near, "before");
            s.send_messages(near, vec![out("with").with(Ctl::Rights(vec![travels]))]);
            s.send(near, "after");
            s.recv_messages(far, 1).gives("before");
            let received = s.slot();
            s.recv_messages(far, 1).makes(&[received]);
            s.recv_messages(far, 1).flags(libc::MSG_DONTWAIT).either();
        },
    );
    theme.case(
        "unix stream: MSG_WAITALL ends with a socket that comes later, and brings it",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, stays) = s.pair(UNIX_STREAM);
            let received = s.slot();
            let begun = s
                .recv_messages(far, 1)
                .flags(libc::MSG_WAITALL)
                .makes(&[received])
                .gives("beforewith")
                .starts();
            s.waits(begun);
            s.send(near, "before");
            s.waits(begun);
            s.send_messages(near, vec![out("with").with(Ctl::Rights(vec![travels]))]);
            s.finish(begun);
            s.send(received, "it works");
            s.recv(stays, 16).gives("it works");
            s.send(near, "after");
            s.recv(far, 16).gives("after");
        },
    );
    theme.case(
        "unix stream: MSG_WAITALL ends with a socket that a plain receive has no room for",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, stays) = s.pair(UNIX_STREAM);
            let begun = s
                .recv(far, 16)
                .flags(libc::MSG_WAITALL)
                .gives("beforewith")
                .starts();
            s.waits(begun);
            s.send(near, "before");
            s.waits(begun);
            s.send_messages(near, vec![out("with").with(Ctl::Rights(vec![travels]))]);
            s.finish(begun);
            s.close(travels);
            s.recv(stays, 16).gives("end");
            s.send_messages(near, vec![out("alone").with(Ctl::Rights(vec![near]))]);
            s.send(near, "after");
            s.recv(far, 16).flags(libc::MSG_WAITALL).gives("alone");
            s.recv(far, 16).gives("after");
        },
    );
    theme.case(
        "unix stream: SO_RCVLOWAT ends with a socket that comes later, and brings it",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, _stays) = s.pair(UNIX_STREAM);
            s.set(far, SOL_SOCKET, libc::SO_RCVLOWAT, 100);
            let received = s.slot();
            let begun = s.recv_messages(far, 1).makes(&[received]).starts();
            s.waits(begun);
            s.send(near, "before");
            s.waits(begun);
            s.send_messages(near, vec![out("with").with(Ctl::Rights(vec![travels]))]);
            s.finish(begun);
        },
    );
    theme.case(
        "unix stream: MSG_WAITALL with SO_PASSCRED goes on while the writer is the same",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, _stays) = s.pair(UNIX_STREAM);
            s.set(far, SOL_SOCKET, SO_PASSCRED, 1);
            let received = s.slot();
            let begun = s
                .recv_messages(far, 1)
                .flags(libc::MSG_WAITALL)
                .makes(&[received])
                .gives("beforewith")
                .starts();
            s.waits(begun);
            s.send(near, "before");
            s.waits(begun);
            s.send_messages(near, vec![out("with").with(Ctl::Rights(vec![travels]))]);
            s.finish(begun);
        },
    );
    theme.case(
        "unix stream: MSG_WAITALL with SO_PASSCRED ends where another writer begins",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            s.set(far, SOL_SOCKET, SO_PASSCRED, 1);
            // Who may not claim to be process 1 fails in both worlds, and then shuts down.
            let claim = [1i32.to_ne_bytes(), [0; 4], [0; 4]].concat();
            let other = out("another").with(Ctl::Raw(SOL_SOCKET, libc::SCM_CREDENTIALS, claim));
            let begun = s
                .recv_messages(far, 1)
                .flags(libc::MSG_WAITALL)
                .gives("mine")
                .starts();
            s.waits(begun);
            s.send(near, "mine");
            s.waits(begun);
            s.send_messages(near, vec![other]).either();
            s.shutdown(near, libc::SHUT_WR);
            s.finish(begun);
            s.recv_messages(far, 1).either();
        },
    );
    theme.case(
        "unix stream: a message of nothing cannot carry sockets",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            let (travels, _stays) = s.pair(UNIX_STREAM);
            s.send_messages(near, vec![out("").with(Ctl::Rights(vec![travels]))]);
            s.recv_messages(far, 1)
                .flags(libc::MSG_DONTWAIT)
                .fails("EAGAIN");
        },
    );
    theme.case("tcp4: sockets do not travel over TCP", |s| {
        let (near, far) = s.connected(TCP4);
        s.send_messages(near, vec![out("x").with(Ctl::Rights(vec![far]))])
            .either();
    });
    theme.each(
        &UNIX,
        "SO_PASSCRED brings the sender's credentials",
        |s, kind| {
            let (near, far) = s.pair(kind);
            s.set(far, SOL_SOCKET, SO_PASSCRED, 1);
            s.send(near, "who am I");
            s.recv_messages(far, 1).gives("credentials=own");
            s.send_messages(near, vec![out("I am").with(Ctl::Credentials)]);
            s.recv_messages(far, 1).gives("credentials=own");
        },
    );
    theme.each(
        &UNIX,
        "without SO_PASSCRED credentials are not received",
        |s, kind| {
            let (near, far) = s.pair(kind);
            s.send_messages(near, vec![out("I am").with(Ctl::Credentials)]);
            s.recv_messages(far, 1);
        },
    );
    theme.each(
        &UNIX,
        "somebody else's credentials are root's to claim",
        |s, kind| {
            let (near, far) = s.pair(kind);
            s.set(far, SOL_SOCKET, SO_PASSCRED, 1);
            // A process that does not exist, for anybody.
            let claim = [i32::MAX.to_ne_bytes(), [0; 4], [0; 4]].concat();
            let message = out("x").with(Ctl::Raw(SOL_SOCKET, libc::SCM_CREDENTIALS, claim));
            s.send_messages(near, vec![message]).either();
        },
    );
    theme.each(&UNIX, "SO_PEERCRED tells the peer", |s, kind| {
        let (near, _far) = s.pair(kind);
        s.call(Call::GetOpt {
            socket: near,
            level: SOL_SOCKET,
            number: libc::SO_PEERCRED,
            room: 12,
        });
    });
    theme
}
