//! Receives of 0 bytes: what they wait for, and what ends them.

use std::time::Duration;

use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SO_RCVTIMEO};

use crate::{
    call::{Call, Slot},
    kinds::*,
    script::{Script, Step},
    theme::Theme,
};

/// What a receive of 0 bytes is made with.
const FLAGS: [(&str, i32); 5] = [
    ("no flags", 0),
    ("MSG_PEEK", MSG_PEEK),
    ("MSG_WAITALL", MSG_WAITALL),
    ("MSG_PEEK and MSG_WAITALL", MSG_PEEK | MSG_WAITALL),
    ("MSG_TRUNC", MSG_TRUNC),
];

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    for (name, flags) in FLAGS {
        theme.each(
            &TCP,
            &format!("0 bytes with {name}: SO_RCVTIMEO ends them in 0"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                limit(s, far);
                s.recv(far, 0).flags(flags).gives("0 \"\"");
                s.send(near, "x");
                s.until_readable(far);
                s.recv(far, 0).flags(flags).gives("0 \"\"");
                s.recv(far, 16).gives("x");
            },
        );
        theme.each(
            &[
                ("unix stream", UNIX_STREAM),
                ("unix seqpacket", UNIX_SEQPACKET),
            ],
            &format!("0 bytes with {name}: SO_RCVTIMEO ends them in EAGAIN"),
            |s, kind| {
                let (_near, far) = s.connected(kind);
                limit(s, far);
                s.recv(far, 0).flags(flags).fails("EAGAIN");
            },
        );
        theme.each(
            &TCP,
            &format!("0 bytes with {name}: a reset ends the wait, and is the next call's"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                let begun = s.recv(far, 0).flags(flags).gives("0 \"\"").starts();
                s.waits(begun);
                s.abort(near);
                s.finish(begun);
                s.recv(far, 16).fails("ECONNRESET");
            },
        );
    }
    theme.each(&DATAGRAMS, "a receive of 0 bytes has a limit", |s, kind| {
        let (_near, far) = s.associated(kind);
        limit(s, far);
        s.recv(far, 0).fails("EAGAIN");
    });
    theme.each(&ALL, "a receive of 0 bytes does not wait", |s, kind| {
        let (_near, far) = match kind.kind {
            libc::SOCK_DGRAM => s.associated(kind),
            _ => s.connected(kind),
        };
        // MPTCP answers 0.
        s.recv(far, 0).flags(MSG_DONTWAIT).either();
        messages(s, far, MSG_DONTWAIT).either();
    });
    theme.each(
        &TCP,
        "several messages of 0 bytes each wait, up to SO_RCVTIMEO",
        |s, kind| {
            let (_near, far) = s.connected(kind);
            limit(s, far);
            messages(s, far, 0).gives("0 \"\" | 0 \"\"");
        },
    );
    theme
}

fn limit(s: &mut Script, socket: Slot) {
    s.time_limit(socket, SO_RCVTIMEO, Duration::from_millis(20));
}

/// Receives two messages of 0 bytes.
fn messages(s: &mut Script, socket: Slot, flags: i32) -> &mut Step {
    s.call(Call::RecvMessages {
        socket,
        count: 2,
        length: 0,
        control: 0,
        flags,
    })
}
