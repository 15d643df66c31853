//! Ending directions: shutdown(2).

use std::time::Duration;

use libc::{
    MSG_DONTWAIT, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_SNDTIMEO,
};

use crate::{kinds::*, script::out, theme::Theme};

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
    for (name, how) in [("SHUT_WR", SHUT_WR), ("SHUT_RDWR", SHUT_RDWR)] {
        theme.each(
            &[
                ("unix stream", UNIX_STREAM),
                ("unix seqpacket", UNIX_SEQPACKET),
            ],
            &format!("{name} ends a send that waits, and those after it"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                s.fill(near);
                // Its time limit is nothing to shutdown(2).
                s.time_limit(near, SO_SNDTIMEO, Duration::from_secs(30));
                let send = s.send(near, "x").fails("EPIPE").starts();
                s.waits(send);
                let many = s.send_messages(near, vec![out("y"), out("z")]);
                let many = many.fails("EPIPE").starts();
                s.waits(many);
                let receive = s.recv(near, 16).starts();
                s.waits(receive);
                s.shutdown(near, how);
                s.finish(send);
                s.finish(many);
                s.send(far, "answer").either();
                s.finish(receive);
                s.send(near, "after").fails("EPIPE");
                s.drain(far, "");
            },
        );
        theme.each(
            &STREAMS,
            &format!("{name}: what was sent before is before it"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                for _ in 0..20 {
                    s.send(near, "complete ");
                }
                s.shutdown(near, how);
                s.recv(far, 180).flags(libc::MSG_WAITALL).gives("180");
                s.recv(far, 1).gives("end");
            },
        );
    }
    for (name, how) in [
        ("SHUT_RD", SHUT_RD),
        ("SHUT_WR", SHUT_WR),
        ("SHUT_RDWR", SHUT_RDWR),
    ] {
        theme.each(
            &CONNECTED,
            &format!("{name}: which receives that wait it ends"),
            |s, kind| {
                for call in 0..4 {
                    let (near, far) = s.connected(kind);
                    if call == 1 {
                        s.send(far, "ab");
                        s.until_readable(near);
                    }
                    let receive = match call {
                        0 => s.recv(near, 16),
                        1 => s.recv(near, 4).flags(libc::MSG_WAITALL),
                        2 => s.recv(near, 16).flags(libc::MSG_PEEK),
                        _ => s.recv_messages(near, 2),
                    };
                    if call == 1 && kind == UNIX_SEQPACKET {
                        receive.gives("ab");
                        continue;
                    }
                    let begun = receive.either().starts();
                    s.waits(begun);
                    s.shutdown(near, how);
                    if how == SHUT_WR {
                        s.waits(begun);
                        s.send(far, "cd");
                        s.shutdown(far, SHUT_WR);
                    }
                    s.finish(begun);
                }
            },
        );
        theme.each(
            &CONNECTED,
            &format!("{name} of a listener: whether it ends an accept that waits"),
            |s, kind| {
                let listener = s.listener(kind);
                let begun = s.try_accept(listener).either().starts();
                s.waits(begun);
                s.shutdown(listener, how);
                if how == SHUT_WR {
                    s.waits(begun);
                    let near = s.socket(kind);
                    s.connect(near, listener);
                }
                s.finish(begun);
            },
        );
        theme.each(
            &[
                ("unix stream", UNIX_STREAM),
                ("unix seqpacket", UNIX_SEQPACKET),
            ],
            &format!("{name}: which directions of a relay it ends"),
            |s, kind| {
                let (first, first_far) = s.pair(kind);
                let (second, second_far) = s.pair(kind);
                s.fill(second);
                s.send(first_far, "relayed");
                let relay = s.splice(first, second).either().starts();
                s.shutdown(second, how);
                s.shutdown(first_far, SHUT_WR);
                s.drain(second_far, if how == SHUT_RD { "relayed" } else { "" });
                s.shutdown(second_far, SHUT_WR);
                s.finish(relay);
            },
        );
    }
    theme
}
