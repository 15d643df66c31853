//! What ends a connect that waits, and what waits beside it: shutdown(2), AF_UNSPEC in each of its spellings, another connect(2).

use std::time::Duration;

use farsock_client::{Address, RawAddress};
use libc::{
    AF_UNIX, MSG_DONTWAIT, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_SNDTIMEO,
};

use super::connect::full_backlog;
use crate::{
    call::{Kind, Slot},
    kinds::*,
    script::Script,
    theme::Theme,
};

const HOWS: [(&str, i32); 3] = [
    ("SHUT_RD", SHUT_RD),
    ("SHUT_WR", SHUT_WR),
    ("SHUT_RDWR", SHUT_RDWR),
];
const KINDS: [(&str, Kind); 3] = [("tcp4", TCP4), ("tcp6", TCP6), ("mptcp4", MPTCP4)];

/// AF_UNSPEC: by its name, and by its number with as many bytes behind it.
fn unspecified() -> Vec<(String, Address)> {
    let raw = |length: usize| {
        let data = vec![7; length].into();
        let address = Address::Raw(RawAddress { family: 0, data });
        (format!("raw AF_UNSPEC of {length} bytes"), address)
    };
    let named = ("AF_UNSPEC".to_owned(), Address::Unspecified);
    vec![named, raw(0), raw(1), raw(14), raw(126)]
}

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    for (name, how) in HOWS {
        theme.each(
            &KINDS,
            &format!("{name} ends a connect that waits"),
            |s, kind| {
                let (listener, _full) = full_backlog(s, kind);
                let late = s.socket(kind);
                let begun = s.connect(late, listener).fails(refusal(kind)).starts();
                s.waits(begun);
                s.shutdown(late, how);
                s.finish(begun);
                ended(s, late);
                // And the socket can be used again.
                let other = s.listener(kind);
                s.connect(late, other);
                let far = s.accept(other);
                s.send(late, "again");
                s.recv(far, 16).gives("again");
            },
        );
        theme.each(
            &KINDS,
            &format!("{name} ends what waits on a connecting socket"),
            |s, kind| {
                for call in 0..4 {
                    let (listener, _full) = full_backlog(s, kind);
                    let late = connecting(s, kind, listener);
                    let begun = match call {
                        0 => s.recv(late, 16).either().starts(),
                        1 => s.send(late, "x").either().starts(),
                        2 => s.recv_messages(late, 2).either().starts(),
                        _ => s.poll_until(&[(late, POLLIN | POLLRDHUP)]).starts(),
                    };
                    s.waits(begun);
                    s.shutdown(late, how);
                    s.finish(begun);
                    ended(s, late);
                }
            },
        );
        theme.each(
            &[
                ("unix stream", UNIX_STREAM),
                ("unix seqpacket", UNIX_SEQPACKET),
            ],
            &format!("{name} does not end a connect that waits for room"),
            |s, kind| {
                let (listener, _full) = full_backlog(s, kind);
                let late = s.socket(kind);
                let begun = s.connect(late, listener).starts();
                s.waits(begun);
                s.shutdown(late, how);
                s.waits(begun);
                s.accept(listener);
                s.finish(begun);
                s.accept(listener);
                let far = s.accept(listener);
                s.send(late, "x").either();
                s.send(far, "y").either();
                s.recv(late, 16).flags(MSG_DONTWAIT).either();
            },
        );
        theme.each(
            &KINDS,
            &format!("{name} of a socket whose connect was refused"),
            |s, kind| {
                let address = s.deaf(kind);
                let late = s.socket(kind.nonblocking());
                s.connect(late, address).fails("EINPROGRESS");
                s.poll_until(&[(late, POLLOUT)]);
                s.shutdown(late, how).either();
                s.error_of(late);
                s.poll(&[(late, POLLOUT)]);
            },
        );
    }

    for (name, address) in unspecified() {
        theme.each(
            &KINDS,
            &format!("{name} ends a connect that waits"),
            |s, kind| {
                let (listener, _full) = full_backlog(s, kind);
                let late = s.socket(kind);
                let begun = s.connect(late, listener).fails("EPIPE").starts();
                s.waits(begun);
                s.connect(late, address.clone());
                s.finish(begun);
                ended(s, late);
            },
        );
        theme.each(
            &KINDS,
            &format!("{name} ends what waits on a connecting socket"),
            |s, kind| {
                for call in 0..4 {
                    let (listener, _full) = full_backlog(s, kind);
                    let late = connecting(s, kind, listener);
                    let begun = match call {
                        0 => s.recv(late, 16).either().starts(),
                        1 => s.send(late, "x").either().starts(),
                        2 => s.recv_messages(late, 2).either().starts(),
                        _ => s.poll_until(&[(late, POLLIN | POLLRDHUP)]).starts(),
                    };
                    s.waits(begun);
                    s.connect(late, address.clone());
                    s.finish(begun);
                    ended(s, late);
                }
            },
        );
        theme.each(
            &KINDS,
            &format!("{name} ends what waits on a connection"),
            |s, kind| {
                for call in 0..4 {
                    let (near, far) = s.connected(kind);
                    let begun = match call {
                        0 => s.recv(near, 16).either().starts(),
                        1 => {
                            s.send(far, "ab");
                            s.until_readable(near);
                            let receive = s.recv(near, 16).flags(libc::MSG_WAITALL);
                            receive.gives("ab").starts()
                        }
                        2 => s.recv_messages(near, 2).either().starts(),
                        _ => s
                            .poll_until(&[(near, POLLIN | POLLRDHUP)])
                            .either()
                            .starts(),
                    };
                    s.waits(begun);
                    s.connect(near, address.clone());
                    s.finish(begun);
                    ended(s, near);
                    s.recv(far, 16).fails("ECONNRESET");
                }
            },
        );
        theme.each(
            &KINDS,
            &format!("{name} ends an accept that waits on a listener"),
            |s, kind| {
                let listener = s.listener(kind);
                let begun = s.try_accept(listener).fails("EINVAL").starts();
                s.waits(begun);
                s.connect(listener, address.clone());
                s.finish(begun);
            },
        );
        theme.each(&ALL, &format!("{name} on a new socket"), |s, kind| {
            let socket = s.socket(kind);
            let step = s.connect(socket, address.clone());
            if kind.domain == AF_UNIX && kind.kind != libc::SOCK_DGRAM {
                step.fails("EINVAL");
            }
            s.peer_name(socket).fails("ENOTCONN");
        });
        theme.each(
            &DATAGRAMS,
            &format!("{name} dissolves an association, and what waits goes on"),
            |s, kind| {
                let (near, far) = s.associated(kind);
                let begun = s.recv(near, 16).gives("late").starts();
                s.waits(begun);
                s.connect(near, address.clone());
                s.peer_name(near).fails("ENOTCONN");
                s.waits(begun);
                // It has lost the port that bind(2) chose.
                s.connect(near, far);
                s.send_to(far, "late", near);
                s.finish(begun);
            },
        );
    }

    theme.each(
        &KINDS,
        "two connects that wait for one connection both succeed",
        |s, kind| {
            let (listener, full) = full_backlog(s, kind);
            let late = s.socket(kind);
            let first = s.connect(late, listener).starts();
            s.waits(first);
            let second = s.connect(late, listener).starts();
            s.waits(second);
            for _ in &full {
                s.accept(listener);
            }
            // The SYN is sent again after a second: there is room by now.
            s.accept(listener);
            s.finish(first);
            s.finish(second);
            s.connect(late, listener).fails("EISCONN");
        },
    );
    theme
}

/// What a connect says that shutdown(2) ends.
fn refusal(kind: Kind) -> &'static str {
    match kind.protocol {
        libc::IPPROTO_MPTCP => "ECONNABORTED",
        _ => "ECONNRESET",
    }
}

/// A blocking socket that is connecting to a listener whose queue is full.
fn connecting(s: &mut Script, kind: Kind, listener: Slot) -> Slot {
    let late = s.socket(kind);
    s.time_limit(late, SO_SNDTIMEO, Duration::from_millis(10));
    s.connect(late, listener).fails("EINPROGRESS");
    s.time_limit(late, SO_SNDTIMEO, Duration::ZERO);
    late
}

/// What is left of a socket whose connection has ended: no connect under way, above all.
fn ended(s: &mut Script, socket: Slot) {
    s.poll(&[(socket, POLLIN | POLLOUT | POLLRDHUP)]).either();
    s.info(socket);
    s.peer_name(socket).fails("ENOTCONN");
    s.error_of(socket);
    s.recv(socket, 16).flags(MSG_DONTWAIT).either();
    s.send(socket, "x").flags(MSG_DONTWAIT).either();
    s.error_of(socket);
}
