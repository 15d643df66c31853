//! SO_PEEK_OFF: peeks that begin where the last one ended.

use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, SO_PEEK_OFF, SOL_SOCKET};

use crate::{kinds::*, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    // TCP has it since Linux 6.9, MPTCP not yet.
    theme.each(
        &ALL,
        "SO_PEEK_OFF moves with peeks and receives",
        |s, kind| {
            let (near, far) = match kind.kind {
                libc::SOCK_DGRAM => s.associated(kind),
                _ => s.connected(kind),
            };
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 1).either();
            s.send(near, "abcdef");
            s.until_readable(far);
            s.recv(far, 2).flags(MSG_PEEK);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.recv(far, 2).flags(MSG_PEEK | MSG_DONTWAIT).either();
            s.recv(far, 1);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, -1).either();
            s.recv(far, 16).flags(MSG_PEEK | MSG_DONTWAIT).either();
        },
    );
    theme.each(
        &TCP,
        "SO_PEEK_OFF: MSG_PEEK with MSG_WAITALL waits for what is new",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 0).either();
            s.send(near, "abcd");
            let begun = s
                .recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("abcdef")
                .starts();
            s.waits(begun);
            s.send(near, "efgh");
            s.finish(begun);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.recv(far, 16).gives("abcdefgh");
        },
    );
    theme.each(
        &TCP,
        "SO_PEEK_OFF: a peek waits for what is new",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 0).either();
            s.send(near, "abc");
            s.until_readable(far);
            s.recv(far, 16).flags(MSG_PEEK).gives("abc");
            s.recv(far, 16).flags(MSG_PEEK | MSG_DONTWAIT).either();
            s.send(near, "def");
            s.recv(far, 6).flags(MSG_WAITALL).gives("abcdef");
        },
    );
    theme
}
