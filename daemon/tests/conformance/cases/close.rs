//! Closing: close(2), SO_LINGER, and what the peer sees of it.

use libc::{POLLHUP, POLLIN, POLLRDHUP, SHUT_WR, SO_LINGER, SOL_SOCKET};

use crate::{call::Slot, kinds::*, script::Script, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &CONNECTED,
        "after the peer's close there is the end",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.close(far);
            s.recv(near, 16).gives("end");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "what was sent before the close arrives",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(far, "last words");
            s.close(far);
            s.recv(near, 64).gives("last words");
            s.recv(near, 64).gives("end");
        },
    );
    theme.each(
        &TCP,
        "sending to a closed peer is reset, then EPIPE",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.close(far);
            s.poll_until(&[(near, POLLRDHUP)]);
            s.send(near, "too late");
            s.poll_until(&[(near, POLLHUP)]);
            s.send(near, "x").fails("EPIPE");
            s.send(near, "x").fails("EPIPE");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "sending to a closed peer is EPIPE",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.close(far);
            s.send(near, "x").fails("EPIPE");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(&CONNECTED, "closing with unread data resets", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "never read");
        s.until_readable(far);
        s.close(far);
        s.recv(near, 16).fails("ECONNRESET");
        s.recv(near, 16).gives("end");
        s.send(near, "x").fails("EPIPE");
    });
    theme.each(&TCP, "linger of 0 seconds resets", |s, kind| {
        let (near, far) = s.connected(kind);
        linger(s, far, 0);
        s.close(far);
        s.recv(near, 16).fails("ECONNRESET");
        s.recv(near, 16).gives("end");
    });
    theme.each(
        &CONNECTED,
        "abort resets where there are resets",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(far, "lost or not");
            s.until_readable(near);
            s.abort(far);
            s.poll_until(&[(near, POLLHUP)]).either();
            s.recv(near, 64).either();
            s.recv(near, 64).either();
        },
    );
    theme.each(
        &TCP,
        "linger of a second: a close with nothing unsent returns at once",
        |s, kind| {
            let (near, far) = s.connected(kind);
            linger(s, far, 1);
            s.send(far, "sent");
            s.close(far);
            s.recv(near, 16).gives("sent");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(
        &[("tcp4", TCP4)],
        "linger: a close with unsent data waits until it is sent",
        |s, kind| {
            let (near, far) = s.connected(kind);
            linger(s, near, 10);
            fill(s, near, far);
            let begun = s.close(near).starts();
            s.waits(begun);
            s.drain(far, "");
            s.finish(begun);
        },
    );
    theme.each(
        &[("tcp4", TCP4)],
        "linger: a close with unsent data waits for its time",
        |s, kind| {
            let (near, far) = s.connected(kind);
            linger(s, near, 1);
            fill(s, near, far);
            s.close(near);
        },
    );
    theme.each(&TCP, "linger reads back in whole seconds", |s, kind| {
        let socket = s.socket(kind);
        s.call(crate::call::Call::GetOpt {
            socket,
            level: SOL_SOCKET,
            number: SO_LINGER,
            room: 8,
        });
        linger(s, socket, 7);
        s.call(crate::call::Call::GetOpt {
            socket,
            level: SOL_SOCKET,
            number: SO_LINGER,
            room: 8,
        })
        .gives("[1, 0, 0, 0, 7, 0, 0, 0]");
    });
    theme.each(
        &CONNECTED,
        "a receive that waits sees the peer's close",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(near, 16).gives("end").starts();
            s.waits(begun);
            s.close(far);
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "a receive that waits sees the peer's reset",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(near, 16).fails("ECONNRESET").starts();
            s.waits(begun);
            s.abort(far);
            s.finish(begun);
            s.error_of(near).gives("[0, 0, 0, 0]");
        },
    );
    theme.each(
        &TCP,
        "SO_ERROR takes a reset, and then there is the end",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.abort(far);
            s.poll_until(&[(near, POLLIN)]).gives("ERR");
            s.error_of(near).gives("[104, 0, 0, 0]");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(
        &TCP,
        "a send that waits sees the peer's reset",
        |s, kind| {
            let (near, far) = s.connected(kind);
            fill(s, near, far);
            let begun = s.send(near, "more").fails("ECONNRESET").starts();
            s.waits(begun);
            s.abort(far);
            s.finish(begun);
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a send that waits sees the peer's close as a reset, since there were bytes unread",
        |s, kind| {
            let (near, far) = s.connected(kind);
            fill(s, near, far);
            let begun = s.send(near, "more").fails("ECONNRESET").starts();
            s.waits(begun);
            s.close(far);
            s.finish(begun);
            s.send(near, "x").fails("EPIPE");
            s.recv(near, 16).gives("end");
        },
    );
    theme.each(&TCP, "half closed: the other half goes on", |s, kind| {
        let (near, far) = s.connected(kind);
        s.shutdown(near, SHUT_WR);
        s.recv(far, 16).gives("end");
        s.send(far, "still there");
        s.close(far);
        s.recv(near, 64).gives("still there");
        s.recv(near, 64).gives("end");
    });
    theme.each(
        &DATAGRAMS,
        "a socket that was closed hears nothing",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.close(far);
            // unix: at once; internet: ICMP tells.
            s.send(near, "x").either();
            if kind.domain != libc::AF_UNIX {
                s.poll_until(&[(near, POLLIN)]).either();
            }
            s.error_of(near);
        },
    );
    theme
}

fn linger(s: &mut Script, socket: Slot, seconds: i32) {
    let value = [1i32.to_ne_bytes(), seconds.to_ne_bytes()].concat();
    s.set_bytes(socket, SOL_SOCKET, SO_LINGER, value);
}

/// Sends until nothing more fits between the two. How much that is depends on timers, so it is no outcome.
pub(super) fn fill(s: &mut Script, near: Slot, far: Slot) {
    s.set(near, SOL_SOCKET, libc::SO_SNDBUF, 4096);
    s.set(far, SOL_SOCKET, libc::SO_RCVBUF, 4096);
    s.fill(near);
}
