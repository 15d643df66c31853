//! A negative SO_RCVTIMEO or SO_SNDTIMEO: the kernel does not wait then, and reads the limit back as none.

use libc::{POLLOUT, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET};

use crate::{
    call::{Kind, Slot},
    kinds::*,
    script::Script,
    theme::Theme,
};

use super::close::fill;

/// asm-generic/socket.h; not in libc everywhere.
const SO_RCVTIMEO_NEW: i32 = 66;

/// What has an accept that minds its limit: MPTCP's does not.
const ACCEPTING: [(&str, Kind); 4] = [
    ("tcp4", TCP4),
    ("tcp6", TCP6),
    ("unix stream", UNIX_STREAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &CONNECTED,
        "a receive with a negative limit does not wait",
        |s, kind| {
            let (near, far) = s.connected(kind);
            receives(s, near, far);
        },
    );
    theme.each(
        &DATAGRAMS,
        "a datagram's receive with a negative limit does not wait",
        |s, kind| {
            let (near, far) = s.associated(kind);
            receives(s, near, far);
        },
    );
    theme.each(
        &STREAMS,
        "a send with a negative limit does not wait",
        |s, kind| {
            let (near, far) = s.connected(kind);
            fill(s, near, far);
            never_wait(s, near, SO_SNDTIMEO);
            s.send(near, "x").fails("EAGAIN");
            s.recv(far, 1).gives("1");
        },
    );
    theme.case(
        "unix dgram: a send with a negative limit does not wait",
        |s| {
            let (near, _far) = s.associated(UNIX_DGRAM);
            s.fill(near);
            never_wait(s, near, SO_SNDTIMEO);
            s.send(near, "x").fails("EAGAIN");
        },
    );
    theme.each(
        &ACCEPTING,
        "an accept with a negative limit does not wait",
        |s, kind| {
            let listener = s.listener(kind);
            never_wait(s, listener, SO_RCVTIMEO);
            s.try_accept(listener).fails("EAGAIN");
            let near = s.socket(kind);
            s.connect(near, listener);
            s.until_readable(listener);
            s.accept(listener);
        },
    );
    theme.each(
        &TCP,
        "an accepted socket inherits a negative limit",
        |s, kind| {
            let listener = s.listener(kind);
            never_wait(s, listener, SO_RCVTIMEO);
            let near = s.socket(kind);
            s.connect(near, listener);
            s.until_readable(listener);
            let far = s.accept(listener);
            s.recv(far, 16).fails("EAGAIN");
        },
    );
    theme.each(
        &UNIX[2..],
        "an accepted socket does not inherit a negative limit",
        |s, kind| {
            let listener = s.listener(kind);
            never_wait(s, listener, SO_RCVTIMEO);
            let near = s.socket(kind);
            s.connect(near, listener);
            let far = s.accept(listener);
            let begun = s.recv(far, 16).gives("x").starts();
            s.waits(begun);
            s.send(near, "x");
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "a connect with a negative limit only begins",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            never_wait(s, near, SO_SNDTIMEO);
            s.connect(near, listener).fails("EINPROGRESS");
            s.poll_until(&[(near, POLLOUT)]).gives("OUT");
            s.connect(near, listener);
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a connect with a negative limit does not wait for a full backlog",
        |s, kind| {
            let listener = s.bound(kind);
            s.listen(listener, 0);
            let first = s.socket(kind);
            s.connect(first, listener);
            let second = s.socket(kind);
            never_wait(s, second, SO_SNDTIMEO);
            s.connect(second, listener).fails("EAGAIN");
        },
    );
    theme.case(
        "a limit that is set later takes the negative one away",
        |s| {
            let (near, far) = s.associated(UDP4);
            for option in [SO_RCVTIMEO, SO_RCVTIMEO_NEW] {
                never_wait(s, far, option);
                s.recv(far, 16).fails("EAGAIN");
                s.set_bytes(far, SOL_SOCKET, SO_RCVTIMEO, [0; 16]);
                let begun = s.recv(far, 16).gives("x").starts();
                s.waits(begun);
                s.send(near, "x");
                s.finish(begun);
            }
        },
    );
    theme
}

fn receives(s: &mut Script, near: Slot, far: Slot) {
    never_wait(s, far, SO_RCVTIMEO);
    s.recv(far, 16).fails("EAGAIN");
    s.recv_messages(far, 2).fails("EAGAIN");
    s.send(near, "x");
    s.until_readable(far);
    s.recv(far, 16).flags(libc::MSG_WAITALL).gives("x");
    s.send(near, "y");
    s.until_readable(far);
    s.recv_messages(far, 2).gives("y");
}

/// -1 s.
pub(super) fn never_wait(s: &mut Script, socket: Slot, option: i32) {
    let value = [(-1i64).to_ne_bytes(), [0; 8]].concat();
    s.set_bytes(socket, SOL_SOCKET, option, value);
}
