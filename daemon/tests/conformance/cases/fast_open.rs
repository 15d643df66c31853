//! TCP Fast Open: MSG_FASTOPEN and TCP_FASTOPEN_CONNECT, with and without a cookie. Run in a network namespace of the theme's own, with
//! net.ipv4.tcp_fastopen set.

use std::time::Duration;

use farsock_client::{Address, RawAddress};
use libc::{
    MSG_DONTWAIT, MSG_FASTOPEN, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR,
    SO_SNDTIMEO, SOL_TCP, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT,
};

use super::connect::full_backlog;
use crate::{
    call::{Addr, Kind, Slot},
    kinds::*,
    script::{Begun, Script, Step, out},
    theme::Theme,
};

const KINDS: [(&str, Kind); 3] = [("tcp4", TCP4), ("tcp6", TCP6), ("mptcp4", MPTCP4)];

/// More than a SYN carries.
const LONG: [u8; 3000] = [b'x'; 3000];

/// How the connection is opened.
const WAYS: [&str; 3] = [
    "MSG_FASTOPEN",
    "MSG_FASTOPEN of several messages",
    "TCP_FASTOPEN_CONNECT",
];

/// Without a cookie, as the host's listeners give none: net.ipv4.tcp_fastopen is 1.
pub(crate) fn without_cookie() -> Theme {
    let mut theme = Theme::default();
    cases(&mut theme, false);
    plain(&mut theme);
    theme
}

/// With a cookie that is known, as net.ipv4.tcp_fastopen is 3.
pub(crate) fn with_cookie() -> Theme {
    let mut theme = Theme::default();
    cases(&mut theme, true);
    theme
}

fn cases(theme: &mut Theme, cookie: bool) {
    let with = match cookie {
        true => "with a cookie",
        false => "without a cookie",
    };
    for way in WAYS {
        theme.each(
            &KINDS,
            &format!("{way} {with}: what is sent at once arrives"),
            |s, kind| {
                prepare(s, kind, cookie);
                let listener = fast_listener(s, kind);
                let near = s.socket(kind);
                open(s, way, near, listener, 0).either();
                let far = s.accept(listener);
                s.recv(far, LONG.len())
                    .flags(libc::MSG_WAITALL)
                    .gives("3000");
                s.send(near, "and later");
                s.recv(far, 64).gives("and later");
                s.connect(near, listener).fails("EISCONN");
            },
        );
        theme.each(
            &KINDS,
            &format!("{way} {with}: to a closed port"),
            |s, kind| {
                prepare(s, kind, cookie);
                let address = s.deaf(kind);
                let near = s.socket(kind);
                open(s, way, near, address, 0).either();
                ended(s, near);
            },
        );
        theme.each(
            &KINDS,
            &format!("{way} {with}: non-blocking, to a closed port"),
            |s, kind| {
                prepare(s, kind, cookie);
                let address = s.deaf(kind);
                let near = s.socket(kind);
                open(s, way, near, address, MSG_DONTWAIT).either();
                s.poll_until(&[(near, POLLOUT)]).either();
                s.error_of(near);
            },
        );
        theme.each(
            &KINDS,
            &format!("{way} {with}: SO_SNDTIMEO ends the handshake's wait"),
            |s, kind| {
                prepare(s, kind, cookie);
                let (listener, _full) = full_backlog(s, kind);
                let near = s.socket(kind);
                s.time_limit(near, SO_SNDTIMEO, Duration::from_millis(20));
                open(s, way, near, listener, 0).either();
                s.info(near);
                s.send(near, "x").flags(MSG_DONTWAIT).fails("EAGAIN");
            },
        );
        theme.each(
            &KINDS,
            &format!("{way} {with}: waits for the handshake"),
            |s, kind| {
                prepare(s, kind, cookie);
                let (listener, full) = full_backlog(s, kind);
                let near = s.socket(kind);
                let begun = begin(s, way, near, listener, cookie);
                s.waits(begun);
                for _ in &full {
                    s.accept(listener);
                }
                // The SYN is sent again after a second: there is room by now.
                let far = s.accept(listener);
                s.finish(begun);
                s.send(near, ".").either();
                s.recv(far, 1).either();
            },
        );
        for (name, how) in [
            ("SHUT_RD", SHUT_RD),
            ("SHUT_WR", SHUT_WR),
            ("SHUT_RDWR", SHUT_RDWR),
        ] {
            theme.each(
                &KINDS,
                &format!("{way} {with}: {name} ends the handshake"),
                |s, kind| {
                    prepare(s, kind, cookie);
                    let (listener, _full) = full_backlog(s, kind);
                    let near = s.socket(kind);
                    let begun = begin(s, way, near, listener, cookie);
                    s.waits(begun);
                    s.shutdown(near, how);
                    s.finish(begun);
                    ended(s, near);
                },
            );
        }
        theme.each(
            &KINDS,
            &format!("{way} {with}: AF_UNSPEC ends the handshake"),
            |s, kind| {
                prepare(s, kind, cookie);
                let (listener, _full) = full_backlog(s, kind);
                let near = s.socket(kind);
                let begun = begin(s, way, near, listener, cookie);
                s.waits(begun);
                let data = vec![0].into();
                s.connect(near, Address::Raw(RawAddress { family: 0, data }));
                s.finish(begun);
                ended(s, near);
            },
        );
    }
}

/// What does not ask for a cookie.
fn plain(theme: &mut Theme) {
    theme.each(
        &KINDS,
        "MSG_FASTOPEN on a connected socket is EISCONN",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            let step = s.send_to(near, "x", listener).flags(MSG_FASTOPEN);
            if kind.protocol == libc::IPPROTO_MPTCP {
                step.either();
            } else {
                step.fails("EISCONN");
            }
        },
    );
    theme.each(&KINDS, "MSG_FASTOPEN without an address", |s, kind| {
        let near = s.socket(kind);
        s.send(near, "x").flags(MSG_FASTOPEN).either();
        s.info(near);
    });
    theme.each(&KINDS, "MSG_FASTOPEN to AF_UNSPEC", |s, kind| {
        for data in [vec![], vec![0], vec![0; 14]] {
            let near = s.socket(kind);
            let data = data.into();
            s.send_to(near, "x", Address::Raw(RawAddress { family: 0, data }))
                .flags(MSG_FASTOPEN)
                .either();
            s.info(near);
        }
    });
    theme.each(
        &KINDS,
        "MSG_FASTOPEN of several messages connects with the first",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.send_messages(near, vec![out("one").to(listener), out("two")])
                .flags(MSG_FASTOPEN)
                .gives("[3]");
            let far = s.accept(listener);
            s.recv(far, 3).gives("one");
        },
    );
    theme.case("tcp4: MSG_FASTOPEN of a datagram is an ordinary one", |s| {
        let far = s.bound(UDP4);
        let near = s.socket(UDP4);
        s.send_to(near, "x", far).flags(MSG_FASTOPEN).either();
    });
}

/// Makes the host's cookie known, if there is to be one.
fn prepare(s: &mut Script, kind: Kind, cookie: bool) {
    if cookie {
        let listener = fast_listener(s, kind);
        let near = s.socket(kind);
        s.send_to(near, "a cookie, please", listener)
            .flags(MSG_FASTOPEN);
        s.accept(listener);
    }
}

/// A listener that gives cookies, if the namespace lets it.
fn fast_listener(s: &mut Script, kind: Kind) -> Slot {
    let listener = s.bound(kind);
    s.set(listener, SOL_TCP, TCP_FASTOPEN, 16);
    s.listen(listener, 16);
    listener
}

/// The call that opens the connection.
fn open<'a>(
    s: &'a mut Script,
    way: &str,
    near: Slot,
    to: impl Into<Addr>,
    flags: i32,
) -> &'a mut Step {
    match way {
        "MSG_FASTOPEN" => s.send_to(near, LONG, to).flags(MSG_FASTOPEN | flags),
        "TCP_FASTOPEN_CONNECT" => {
            s.set(near, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
            s.connect(near, to).either();
            s.send(near, LONG).flags(flags)
        }
        _ => s
            .send_messages(near, vec![out(LONG).to(to)])
            .flags(MSG_FASTOPEN | flags),
    }
}

/// Begins the call that waits for the handshake: without a cookie that is TCP_FASTOPEN_CONNECT's connect.
fn begin(s: &mut Script, way: &str, near: Slot, to: Slot, cookie: bool) -> Begun {
    if way == "TCP_FASTOPEN_CONNECT" && !cookie {
        s.set(near, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
        return s.connect(near, to).either().starts();
    }
    open(s, way, near, to, 0).either().starts()
}

/// What is left of a socket whose connection was not made.
fn ended(s: &mut Script, socket: Slot) {
    s.poll(&[(socket, POLLIN | POLLOUT | POLLRDHUP)]).either();
    s.info(socket);
    s.error_of(socket);
    s.send(socket, "x").flags(MSG_DONTWAIT).either();
    s.recv(socket, 16).flags(MSG_DONTWAIT).either();
    s.error_of(socket);
}
