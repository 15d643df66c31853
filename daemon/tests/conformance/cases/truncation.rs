//! Messages that do not fit, and messages of nothing.

use libc::{MSG_PEEK, MSG_TRUNC};

use crate::{kinds::*, script::out, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &MESSAGES,
        "what does not fit is cut off, and told",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "a long message");
            s.send(near, "next");
            s.recv(far, 6).gives("\"a long\"");
            s.recv(far, 16).gives("next");
        },
    );
    theme.each(&MESSAGES, "MSG_TRUNC tells the whole length", |s, kind| {
        let (near, far) = s.messengers(kind);
        s.send(near, "a long message");
        s.recv(far, 6).flags(MSG_TRUNC).gives("of 14 TRUNC");
    });
    theme.each(
        &MESSAGES,
        "MSG_PEEK and MSG_TRUNC tell the length of what comes",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "a long message");
            s.recv(far, 0)
                .flags(MSG_PEEK | MSG_TRUNC)
                .gives("of 14 TRUNC");
            s.recv(far, 14).gives("a long message");
        },
    );
    theme.each(
        &MESSAGES,
        "a receive of 0 bytes takes a message",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "gone");
            s.send(near, "here");
            s.recv(far, 0).gives("TRUNC");
            s.recv(far, 16).gives("here");
        },
    );
    theme.each(
        &MESSAGES,
        "a message of exactly the length is not cut off",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "fits");
            s.recv(far, 4).gives("4 \"fits\"");
        },
    );
    theme.each(
        &DATAGRAMS,
        "a message of nothing is a message",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.send(near, "").gives("0");
            s.send(near, "something");
            s.recv_from(far, 16).gives("0 \"\"");
            s.recv_from(far, 16).gives("something");
        },
    );
    theme.case("unix seqpacket: a message of nothing", |s| {
        let (near, far) = s.connected(UNIX_SEQPACKET);
        s.send(near, "");
        s.send(near, "something");
        s.recv(far, 16);
        s.recv(far, 16).gives("something");
    });
    theme.each(
        &DATAGRAMS,
        "a message of nothing wakes a receive that waits",
        |s, kind| {
            let (near, far) = s.associated(kind);
            let begun = s.recv(far, 16).gives("0 \"\"").starts();
            s.waits(begun);
            s.send(near, "");
            s.finish(begun);
        },
    );
    theme.each(
        &MESSAGES,
        "each of several messages is cut off by itself",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send_messages(near, vec![out("short"), out("x".repeat(300)), out("")]);
            s.recv_messages(far, 3).gives("of 300 TRUNC");
        },
    );
    theme.case("unix seqpacket: MSG_EOR is taken", |s| {
        let (near, far) = s.connected(UNIX_SEQPACKET);
        s.send(near, "record").flags(libc::MSG_EOR).either();
        s.recv(far, 16);
    });
    theme
}
