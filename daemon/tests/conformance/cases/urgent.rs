//! Out-of-band data: MSG_OOB, SO_OOBINLINE, the mark.

use libc::{
    MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_WAITALL, POLLIN, POLLPRI, SO_OOBINLINE, SOL_SOCKET,
};

use crate::{call::Kind, kinds::*, theme::Theme};

/// Streams with out-of-band data; unix has it since Linux 5.15.
const URGENT: [(&str, Kind); 3] = [("tcp4", TCP4), ("tcp6", TCP6), ("unix stream", UNIX_STREAM)];

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(&URGENT, "the urgent byte comes by itself", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "abc");
        s.send(near, "!").flags(MSG_OOB);
        s.send(near, "def");
        s.poll_until(&[(far, POLLPRI)]).gives("PRI");
        s.recv(far, 16).flags(MSG_OOB).gives("\"!\" OOB");
        s.recv(far, 16).gives("abc");
        s.recv(far, 16).gives("def");
    });
    theme.each(&URGENT, "a receive stops at the mark", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "abc");
        s.send(near, "!").flags(MSG_OOB);
        s.send(near, "def");
        s.poll_until(&[(far, POLLPRI)]);
        s.info(far).gives("at_mark: false");
        s.recv(far, 16).gives("abc");
        s.info(far).gives("at_mark: true");
        s.recv(far, 16).flags(MSG_OOB).gives("!");
        s.recv(far, 16).gives("def");
        s.info(far).gives("at_mark: false");
    });
    theme.each(
        &URGENT,
        "SO_OOBINLINE leaves the byte in the stream",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_OOBINLINE, 1);
            s.send(near, "abc");
            s.send(near, "!").flags(MSG_OOB);
            s.send(near, "def");
            s.poll_until(&[(far, POLLPRI)]);
            s.recv(far, 16).flags(MSG_OOB).fails("EINVAL");
            s.recv(far, 16).gives("abc");
            s.info(far).gives("at_mark: true");
            s.recv(far, 16);
        },
    );
    theme.each(
        &URGENT,
        "MSG_OOB without an urgent byte is EINVAL",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.recv(far, 16).flags(MSG_OOB).fails("EINVAL");
            s.send(near, "abc");
            s.until_readable(far);
            s.recv(far, 16).flags(MSG_OOB).fails("EINVAL");
        },
    );
    theme.each(
        &URGENT,
        "the urgent byte is read once, and peeked at any time",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "!").flags(MSG_OOB);
            s.poll_until(&[(far, POLLPRI)]);
            s.recv(far, 16).flags(MSG_OOB | MSG_PEEK).gives("!");
            s.recv(far, 16).flags(MSG_OOB).gives("!");
            s.recv(far, 16).flags(MSG_OOB).fails("EINVAL");
            s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(
        &URGENT,
        "of several urgent bytes the last counts",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "a!").flags(MSG_OOB);
            s.poll_until(&[(far, POLLPRI)]);
            s.send(near, "b?").flags(MSG_OOB);
            s.send(near, "end");
            s.until_readable(far);
            s.recv(far, 1);
            s.poll(&[(far, POLLIN | POLLPRI)]);
            s.recv(far, 16).flags(MSG_OOB).gives("?");
            s.recv(far, 16).either();
            s.recv(far, 16).flags(MSG_DONTWAIT).either();
        },
    );
    theme.each(
        &URGENT,
        "a receive that waits steps over the urgent byte",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(far, 16).gives("in line").starts();
            s.waits(begun);
            s.send(near, "!").flags(MSG_OOB);
            s.send(near, "in line");
            s.finish(begun);
            s.recv(far, 16).flags(MSG_OOB).fails("EINVAL");
        },
    );
    theme.each(
        &URGENT,
        "MSG_WAITALL stops before the urgent byte",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(far, 6).flags(MSG_WAITALL).gives("\"abc\"").starts();
            s.waits(begun);
            s.send(near, "abc");
            s.send(near, "!").flags(MSG_OOB);
            s.send(near, "defg");
            s.finish(begun);
            s.info(far).gives("at_mark: true");
            // And what begins there goes on behind it.
            s.recv(far, 4).flags(MSG_WAITALL).gives("defg");
        },
    );
    theme.each(
        &URGENT,
        "MSG_WAITALL stops before an urgent byte in line",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_OOBINLINE, 1);
            s.send(near, "abc");
            s.send(near, "!").flags(MSG_OOB);
            s.poll_until(&[(far, POLLPRI)]);
            s.recv(far, 4).flags(MSG_WAITALL).gives("\"abc\"");
            s.send(near, "de");
            s.recv(far, 3).flags(MSG_WAITALL);
        },
    );
    theme.each(
        &TCP,
        "MSG_PEEK with MSG_WAITALL stops before the urgent byte",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abc");
            s.send(near, "!").flags(MSG_OOB);
            s.poll_until(&[(far, POLLPRI)]);
            s.recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("\"abc\"");
            s.recv(far, 3).gives("abc");
            let begun = s
                .recv(far, 3)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("def")
                .starts();
            s.waits(begun);
            s.send(near, "def");
            s.finish(begun);
            s.recv(far, 16).gives("def");
        },
    );
    theme.each(
        &[("mptcp4", MPTCP4), ("udp4", UDP4), ("udp6", UDP6)],
        "a receive with MSG_OOB waits like any other",
        |s, kind| {
            let (near, far) = match kind.kind {
                libc::SOCK_DGRAM => s.associated(kind),
                _ => s.connected(kind),
            };
            let begun = s.recv(far, 16).flags(MSG_OOB).gives("x").starts();
            s.waits(begun);
            s.send(near, "x");
            s.finish(begun);
        },
    );
    for (name, kind) in [
        ("udp4", UDP4),
        ("unix dgram", UNIX_DGRAM),
        ("unix seqpacket", UNIX_SEQPACKET),
    ] {
        theme.case(format!("{name}: there is no out-of-band data"), |s| {
            let (near, far) = s.messengers(kind);
            s.send(near, "x").flags(MSG_OOB).fails("EOPNOTSUPP");
            s.recv(far, 16).flags(MSG_OOB | MSG_DONTWAIT).either();
        });
    }
    theme
}
