//! Listening and accepting: listen(2), accept(2).

use std::time::Duration;

use libc::{POLLIN, SO_RCVLOWAT, SO_RCVTIMEO, SOL_SOCKET};

use crate::{
    call::{Call, Slot},
    kinds::*,
    theme::Theme,
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &DATAGRAMS,
        "a datagram socket does not listen",
        |s, kind| {
            let socket = s.bound(kind);
            s.listen(socket, 4).fails("EOPNOTSUPP");
            s.try_accept(socket).fails("EOPNOTSUPP");
        },
    );
    theme.each(
        &CONNECTED,
        "accept on a socket that does not listen is EINVAL",
        |s, kind| {
            let socket = s.bound(kind);
            s.try_accept(socket).fails("EINVAL");
        },
    );
    theme.each(
        &CONNECTED,
        "accept on a connected socket is EINVAL",
        |s, kind| {
            let (near, _far) = s.connected(kind);
            s.try_accept(near).fails("EINVAL");
        },
    );
    theme.each(
        &CONNECTED,
        "a connected socket does not listen",
        |s, kind| {
            let (near, _far) = s.connected(kind);
            s.listen(near, 4).fails("EINVAL");
        },
    );
    theme.each(&CONNECTED, "accept waits for a connection", |s, kind| {
        let listener = s.listener(kind);
        let near = s.socket(kind);
        let far = s.slot();
        let begun = s.try_accept(listener).makes(&[far]).starts();
        s.waits(begun);
        s.connect(near, listener);
        s.finish(begun);
        s.send(near, "accepted");
        s.recv(far, 64).gives("accepted");
    });
    theme.each(&CONNECTED, "a non-blocking accept is EAGAIN", |s, kind| {
        let listener = s.socket(kind.nonblocking());
        let address = s.local(kind);
        s.bind(listener, address);
        s.listen(listener, 4);
        s.try_accept(listener).fails("EAGAIN");
        s.poll(&[(listener, POLLIN)]).gives("[]");
        let near = s.socket(kind);
        s.connect(near, listener);
        s.poll_until(&[(listener, POLLIN)]).gives("0:IN");
        s.accept(listener);
        s.try_accept(listener).fails("EAGAIN");
    });
    // Not of MPTCP, whose accept waits on without regard to it.
    let limited: Vec<_> = CONNECTED
        .into_iter()
        .filter(|(_, kind)| *kind != MPTCP4)
        .collect();
    theme.each(
        &limited,
        "accept ends in EAGAIN after SO_RCVTIMEO",
        |s, kind| {
            let listener = s.listener(kind);
            s.time_limit(listener, SO_RCVTIMEO, Duration::from_millis(20));
            s.try_accept(listener).fails("EAGAIN");
        },
    );
    theme.each(
        &[("mptcp4", MPTCP4)],
        "an accept does not mind SO_RCVTIMEO",
        |s, kind| {
            let listener = s.listener(kind);
            s.time_limit(listener, SO_RCVTIMEO, Duration::from_millis(1));
            let near = s.slot();
            let begun = s.try_accept(listener).makes(&[near]).starts();
            s.waits(begun);
            // Past the limit.
            s.poll_for(listener, Duration::from_millis(20));
            let far = s.socket(kind);
            s.connect(far, listener);
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "an accepted socket has the SO_RCVLOWAT that the listener had when it came",
        |s, kind| {
            let listener = s.listener(kind);
            s.set(listener, SOL_SOCKET, SO_RCVLOWAT, 4);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.until_readable(listener);
            s.set(listener, SOL_SOCKET, SO_RCVLOWAT, 1);
            let far = s.accept(listener);
            s.get(far, SOL_SOCKET, SO_RCVLOWAT).gives("[4");
            let begun = s.recv(far, 16).gives("abcd").starts();
            s.waits(begun);
            s.send(near, "ab");
            s.waits(begun);
            s.send(near, "cd");
            s.finish(begun);
        },
    );
    theme.case(
        "unix stream: an accepted socket does not inherit SO_RCVLOWAT",
        |s| {
            let listener = s.listener(UNIX_STREAM);
            s.set(listener, SOL_SOCKET, SO_RCVLOWAT, 4);
            let near = s.socket(UNIX_STREAM);
            s.connect(near, listener);
            let far = s.accept(listener);
            s.send(near, "ab");
            s.recv(far, 16).gives("ab");
        },
    );
    theme.each(
        &CONNECTED,
        "an accepted socket does not inherit O_NONBLOCK",
        |s, kind| {
            let listener = s.socket(kind.nonblocking());
            let address = s.local(kind);
            s.bind(listener, address);
            s.listen(listener, 4);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.until_readable(listener);
            let far = s.accept(listener);
            let begun = s.recv(far, 16).gives("late").starts();
            s.waits(begun);
            s.send(near, "late");
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "accept4 makes a non-blocking socket",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            let far = s.slot();
            s.call(Call::Accept {
                listener,
                nonblocking: true,
            })
            .makes(&[far]);
            s.recv(far, 16).fails("EAGAIN");
        },
    );
    theme.each(
        &CONNECTED,
        "connections are accepted in the order in which they came",
        |s, kind| {
            let listener = s.listener(kind);
            let near: Vec<Slot> = (0..4)
                .map(|_| {
                    let near = s.bound(kind);
                    s.connect(near, listener);
                    near
                })
                .collect();
            for (count, near) in near.into_iter().enumerate() {
                let far = s.accept(listener);
                s.send(near, format!("number {count}"));
                s.recv(far, 64).gives(format!("number {count}"));
            }
        },
    );
    theme.each(
        &CONNECTED,
        "two accepts wait, and both get a connection",
        |s, kind| {
            let listener = s.listener(kind);
            let first = s.try_accept(listener).starts();
            s.waits(first);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.finish(first);
            let second = s.try_accept(listener).starts();
            s.waits(second);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.finish(second);
        },
    );
    theme.each(
        &STREAMS,
        "data that came before the accept is there",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.send(near, "early");
            s.shutdown(near, libc::SHUT_WR);
            let far = s.accept(listener);
            s.recv(far, 64).flags(libc::MSG_WAITALL).gives("early");
            s.recv(far, 64).gives("end");
        },
    );
    theme.each(
        &TCP,
        "a connection that was reset is still accepted",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.abort(near);
            let far = s.accept(listener);
            s.recv(far, 16).fails("ECONNRESET");
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a connection that was closed is still accepted",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.close(near);
            let far = s.accept(listener);
            s.recv(far, 16).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "the waiting connections are refused when the listener closes",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.until_readable(listener);
            s.close(listener);
            s.recv(near, 16).fails("ECONNRESET");
        },
    );
    theme.each(
        &CONNECTED,
        "an accept that waits ends when the listener is shut down",
        |s, kind| {
            let listener = s.listener(kind);
            let begun = s.try_accept(listener).fails("EINVAL").starts();
            s.waits(begun);
            s.shutdown(listener, libc::SHUT_RDWR);
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "listening again changes the backlog",
        |s, kind| {
            let listener = s.listener(kind);
            s.listen(listener, 1);
            s.listen(listener, 0);
            s.listen(listener, -1);
            s.listen(listener, i32::MAX);
            s.get(listener, SOL_SOCKET, libc::SO_ACCEPTCONN)
                .gives("[1, 0, 0, 0]");
        },
    );
    theme.each(
        &TCP,
        "a listener without an address gets a port",
        |s, kind| {
            let listener = s.socket(kind);
            s.listen(listener, 4);
            s.sock_name(listener);
        },
    );
    theme.case("unix: a listener without an address is EINVAL", |s| {
        let listener = s.socket(UNIX_STREAM);
        s.listen(listener, 4).fails("EINVAL");
    });
    theme.each(
        &CONNECTED,
        "a listener neither sends nor receives",
        |s, kind| {
            let listener = s.listener(kind);
            // TCP: EPIPE and ENOTCONN; unix: ENOTCONN and EINVAL.
            s.send(listener, "x").either();
            s.recv(listener, 16).either();
        },
    );
    theme.each(&TCP, "an accepted socket inherits options", |s, kind| {
        let listener = s.listener(kind);
        s.set(listener, SOL_SOCKET, libc::SO_KEEPALIVE, 1);
        s.set(listener, libc::SOL_TCP, libc::TCP_NODELAY, 1);
        s.set(listener, SOL_SOCKET, libc::SO_RCVLOWAT, 3);
        let near = s.socket(kind);
        s.connect(near, listener);
        let far = s.accept(listener);
        s.get(far, SOL_SOCKET, libc::SO_KEEPALIVE).gives("[1");
        s.get(far, libc::SOL_TCP, libc::TCP_NODELAY).gives("[1");
        s.get(far, SOL_SOCKET, libc::SO_RCVLOWAT).gives("[3");
        let begun = s.recv(far, 16).gives("abc").starts();
        s.waits(begun);
        s.send(near, "ab");
        s.waits(begun);
        s.send(near, "c");
        s.finish(begun);
    });
    theme.each(
        &TCP,
        "an accepted socket inherits SO_RCVTIMEO",
        |s, kind| {
            let listener = s.listener(kind);
            s.time_limit(listener, SO_RCVTIMEO, Duration::from_millis(20));
            let near = s.socket(kind);
            s.connect(near, listener);
            let far = s.accept(listener);
            s.recv(far, 16).fails("EAGAIN");
        },
    );
    theme.case("tcp4: TCP_DEFER_ACCEPT accepts when there is data", |s| {
        let listener = s.listener(TCP4);
        s.set(listener, libc::SOL_TCP, libc::TCP_DEFER_ACCEPT, 10);
        let near = s.socket(TCP4);
        let begun = s.try_accept(listener).starts();
        s.connect(near, listener);
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
    });
    theme
}
