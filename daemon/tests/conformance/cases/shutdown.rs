//! Ending directions: shutdown(2).

use libc::{MSG_DONTWAIT, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR};

use crate::{kinds::*, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &CONNECTED,
        "SHUT_WR: the peer sees the end after what was sent",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "before");
            s.shutdown(near, SHUT_WR);
            s.send(near, "after").fails("EPIPE");
            s.recv(far, 64).gives("before");
            s.recv(far, 64).gives("end");
            s.send(far, "answer");
            s.recv(near, 64).gives("answer");
        },
    );
    theme.each(
        &CONNECTED,
        "SHUT_RD: what is queued is still read, and then there is the end",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(far, "queued");
            s.until_readable(near);
            s.shutdown(near, SHUT_RD);
            s.recv(near, 64).gives("queued");
            s.recv(near, 64).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "SHUT_RD: whether the peer may still send",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.shutdown(near, SHUT_RD);
            // TCP takes it and still gives it; unix: EPIPE.
            s.send(far, "after").either();
            s.recv(near, 64).either();
        },
    );
    theme.each(&CONNECTED, "SHUT_RDWR: both ends see the end", |s, kind| {
        let (near, far) = s.connected(kind);
        s.shutdown(near, SHUT_RDWR);
        s.recv(near, 16).gives("end");
        s.recv(far, 16).gives("end");
        s.send(near, "x").fails("EPIPE");
        s.poll_until(&[(near, POLLHUP)]).gives("HUP");
    });
    theme.each(
        &CONNECTED,
        "shutdown without a connection: ENOTCONN, but of unix sockets",
        |s, kind| {
            let socket = s.socket(kind);
            let step = s.shutdown(socket, SHUT_RDWR);
            if kind.domain != libc::AF_UNIX {
                step.fails("ENOTCONN");
            }
            s.recv(socket, 16).either();
        },
    );
    theme.each(&CONNECTED, "shutdown twice", |s, kind| {
        let (near, far) = s.connected(kind);
        s.shutdown(near, SHUT_WR);
        s.shutdown(near, SHUT_WR);
        s.shutdown(near, SHUT_RD);
        s.recv(far, 16).gives("end");
        s.shutdown(far, SHUT_WR);
    });
    theme.each(
        &CONNECTED,
        "a receive that waits ends when its own side shuts down",
        |s, kind| {
            let (near, _far) = s.connected(kind);
            let begun = s.recv(near, 16).gives("end").starts();
            s.waits(begun);
            s.shutdown(near, SHUT_RD);
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "a receive that waits ends when the peer stops sending",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(near, 16).gives("end").starts();
            s.waits(begun);
            s.shutdown(far, SHUT_WR);
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "poll tells which sides have ended",
        |s, kind| {
            let all = POLLIN | POLLOUT | POLLRDHUP;
            let (near, far) = s.connected(kind);
            s.poll(&[(near, all)]).gives("0:OUT");
            s.shutdown(far, SHUT_WR);
            s.poll_until(&[(near, POLLRDHUP)]);
            s.poll(&[(near, all), (far, all)]);
            s.shutdown(near, SHUT_WR);
            s.poll_until(&[(far, POLLHUP)]);
            s.poll(&[(near, all), (far, all)]);
        },
    );
    theme.each(
        &UDP,
        "SHUT_RD on a connected datagram socket: receives return nothing",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.shutdown(near, SHUT_RD);
            s.recv(near, 16).gives("0 \"\"");
            s.recv_from(near, 16).gives("0 \"\"");
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
            // What arrives all the same is there.
            s.send_to(far, "late", near);
            s.until_readable(near);
            s.recv(near, 16).gives("late");
            s.recv(near, 16).gives("0 \"\"");
        },
    );
    theme.each(&UDP, "SHUT_RD wakes a receive that waits", |s, kind| {
        let (near, _far) = s.associated(kind);
        let begun = s.recv(near, 16).gives("0 \"\"").starts();
        s.waits(begun);
        s.shutdown(near, SHUT_RD);
        s.finish(begun);
    });
    theme.each(
        &UDP,
        "shutdown of a datagram socket without a peer is ENOTCONN, and still has its effect",
        |s, kind| {
            let socket = s.bound(kind);
            s.shutdown(socket, SHUT_RD).fails("ENOTCONN");
            s.shutdown(socket, SHUT_RDWR).fails("ENOTCONN");
            s.recv(socket, 16).either();
        },
    );
    theme.each(
        &UDP,
        "SHUT_WR on a connected datagram socket is EPIPE",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.shutdown(near, SHUT_WR);
            s.send(near, "x").fails("EPIPE");
            s.send_to(far, "in", near);
            s.recv(near, 16).gives("in");
        },
    );
    theme.case(
        "unix dgram: SHUT_RD ends receives, and the peer's sends",
        |s| {
            let (near, far) = s.pair(UNIX_DGRAM);
            s.send(far, "queued");
            s.shutdown(near, SHUT_RD);
            s.recv(near, 16).gives("queued");
            s.recv(near, 16).gives("0 \"\"");
            s.send(far, "x").fails("EPIPE");
        },
    );
    theme.case("unix dgram: SHUT_WR ends sends", |s| {
        let (near, far) = s.pair(UNIX_DGRAM);
        s.shutdown(near, SHUT_WR);
        s.send(near, "x").fails("EPIPE");
        s.send(far, "in");
        s.recv(near, 16).gives("in");
    });
    theme.each(&TCP, "shutdown of a listener ends it", |s, kind| {
        let listener = s.listener(kind);
        s.shutdown(listener, SHUT_WR);
        let near = s.socket(kind);
        s.connect(near, listener);
        s.accept(listener);
        s.shutdown(listener, SHUT_RD);
        s.try_accept(listener).fails("EINVAL");
        s.listen(listener, 4);
        let near = s.socket(kind);
        s.connect(near, listener);
        s.accept(listener);
    });
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a send that waits ends when the peer reads no more",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.fill(near);
            let begun = s.send(near, "x").fails("EPIPE").starts();
            s.waits(begun);
            s.shutdown(far, SHUT_RD);
            s.finish(begun);
        },
    );
    theme
}
