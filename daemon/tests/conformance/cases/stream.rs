//! Streams: what send(2) and recv(2) do with bytes, waiting or not.

use std::time::Duration;

use libc::{
    MSG_DONTWAIT, MSG_MORE, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SHUT_WR, SO_RCVLOWAT, SO_RCVTIMEO,
    SO_SNDTIMEO, SOL_SOCKET,
};

use crate::{kinds::*, theme::Theme};

use super::close::fill;

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &STREAMS,
        "a receive takes what fits, and the rest comes next",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abcdef");
            s.recv(far, 4).gives("abcd");
            s.recv(far, 4).gives("ef");
        },
    );
    theme.each(&STREAMS, "two sends are received as one", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "ab");
        s.send(near, "cd");
        s.recv(far, 4).flags(MSG_WAITALL).gives("abcd");
    });
    theme.each(&STREAMS, "a receive waits for the first byte", |s, kind| {
        let (near, far) = s.connected(kind);
        let begun = s.recv(far, 64).gives("x").starts();
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
    });
    theme.each(&STREAMS, "MSG_DONTWAIT is EAGAIN", |s, kind| {
        let (near, far) = s.connected(kind);
        s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        s.send(near, "x");
        s.until_readable(far);
        s.recv(far, 16).flags(MSG_DONTWAIT).gives("x");
    });
    theme.each(
        &STREAMS,
        "a receive of 0 bytes does not end the stream",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "x");
            s.until_readable(far);
            s.recv(far, 0).gives("0 \"\"");
            s.recv(far, 16).gives("x");
        },
    );
    // MPTCP's does not wait.
    let waiting: Vec<_> = STREAMS
        .into_iter()
        .filter(|(_, kind)| *kind != MPTCP4)
        .collect();
    theme.each(
        &waiting,
        "a receive of 0 bytes waits until there is something",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.recv(far, 0).gives("0 \"\"").starts();
            s.waits(begun);
            s.send(near, "x");
            s.finish(begun);
            s.recv(far, 16).gives("x");
        },
    );
    theme.each(&STREAMS, "a send of 0 bytes sends nothing", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "").gives("0");
        s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.each(&STREAMS, "MSG_PEEK leaves the bytes there", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "peek");
        s.recv(far, 2).flags(MSG_PEEK).gives("pe");
        s.recv(far, 16).flags(MSG_PEEK).gives("peek");
        s.recv(far, 16).gives("peek");
    });
    theme.each(&STREAMS, "MSG_PEEK waits for the first byte", |s, kind| {
        let (near, far) = s.connected(kind);
        let begun = s.recv(far, 16).flags(MSG_PEEK).gives("x").starts();
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
        s.recv(far, 16).gives("x");
    });
    theme.each(&STREAMS, "MSG_WAITALL waits for all", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "abc");
        let begun = s.recv(far, 6).flags(MSG_WAITALL).gives("abcdef").starts();
        s.waits(begun);
        s.send(near, "defg");
        s.finish(begun);
        s.recv(far, 16).gives("g");
    });
    theme.each(&STREAMS, "MSG_WAITALL ends with the stream", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "abc");
        let begun = s.recv(far, 6).flags(MSG_WAITALL).gives("abc").starts();
        s.waits(begun);
        s.shutdown(near, SHUT_WR);
        s.finish(begun);
        s.recv(far, 16).gives("end");
    });
    theme.each(&STREAMS, "MSG_WAITALL ends with SO_RCVTIMEO", |s, kind| {
        let (near, far) = s.connected(kind);
        s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(30));
        s.send(near, "abc");
        s.until_readable(far);
        s.recv(far, 6).flags(MSG_WAITALL).gives("abc");
        s.recv(far, 6).flags(MSG_WAITALL).fails("EAGAIN");
    });
    theme.each(
        &TCP,
        "MSG_WAITALL ends with a reset, which the next receive tells",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abc");
            let begun = s.recv(far, 6).flags(MSG_WAITALL).gives("abc").starts();
            s.waits(begun);
            s.abort(near);
            s.finish(begun);
            s.recv(far, 6).fails("ECONNRESET");
            s.recv(far, 6).gives("end");
        },
    );
    theme.each(
        &TCP,
        "MSG_PEEK with MSG_WAITALL waits for all and takes nothing",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abc");
            let begun = s
                .recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("abcdef")
                .starts();
            s.waits(begun);
            s.send(near, "def");
            s.finish(begun);
            s.recv(far, 6).flags(MSG_WAITALL).gives("abcdef");
        },
    );
    theme.case(
        "unix stream: MSG_PEEK with MSG_WAITALL waits for the first bytes alone",
        |s| {
            let (near, far) = s.connected(UNIX_STREAM);
            let begun = s
                .recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("abc")
                .starts();
            s.waits(begun);
            s.send(near, "abc");
            s.finish(begun);
            s.recv(far, 6).gives("abc");
        },
    );
    theme.each(
        &TCP,
        "MSG_PEEK with MSG_WAITALL ends with the stream",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abc");
            s.until_readable(far);
            let begun = s
                .recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("abc")
                .starts();
            s.waits(begun);
            s.shutdown(near, SHUT_WR);
            s.finish(begun);
            s.recv(far, 6).gives("abc");
        },
    );
    theme.each(
        &TCP,
        "MSG_PEEK with MSG_WAITALL ends with SO_RCVTIMEO",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(30));
            s.send(near, "abc");
            s.until_readable(far);
            s.recv(far, 6).flags(MSG_PEEK | MSG_WAITALL).gives("abc");
            s.recv(far, 6).gives("abc");
        },
    );
    theme.each(
        &STREAMS,
        "MSG_WAITALL on a non-blocking socket does not wait",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind);
            s.connect(near, listener);
            let far = s.slot();
            s.call(crate::call::Call::Accept {
                listener,
                nonblocking: true,
            })
            .makes(&[far]);
            s.recv(far, 6).flags(MSG_WAITALL).fails("EAGAIN");
            s.send(near, "abc");
            s.until_readable(far);
            s.recv(far, 6).flags(MSG_WAITALL).gives("abc");
        },
    );
    theme.each(
        &STREAMS,
        "SO_RCVLOWAT keeps a receive waiting for so much",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_RCVLOWAT, 4).either();
            s.get(far, SOL_SOCKET, SO_RCVLOWAT);
            s.send(near, "ab");
            s.recv(far, 16).flags(MSG_DONTWAIT).either();
            let begun = s.recv(far, 16).starts();
            s.send(near, "cdef");
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "SO_RCVLOWAT: fewer bytes come at the end of the stream",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_RCVLOWAT, 4);
            s.send(near, "ab");
            let begun = s.recv(far, 16).gives("ab").starts();
            s.waits(begun);
            s.shutdown(near, SHUT_WR);
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "SO_RCVLOWAT: fewer bytes come after SO_RCVTIMEO, and to a short receive",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_RCVLOWAT, 4);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(30));
            s.send(near, "ab");
            s.recv(far, 16).gives("ab");
            s.send(near, "ab");
            s.recv(far, 2).gives("ab");
        },
    );
    theme.each(&TCP, "SO_RCVLOWAT: poll is silent below it", |s, kind| {
        let (near, far) = s.connected(kind);
        s.set(far, SOL_SOCKET, SO_RCVLOWAT, 4);
        s.send(near, "ab");
        s.recv(far, 2).flags(MSG_PEEK).gives("ab");
        s.poll(&[(far, libc::POLLIN)]).gives("[]");
        s.send(near, "cd");
        s.until_readable(far);
    });
    theme.each(
        &STREAMS,
        "SO_RCVTIMEO ends a receive in EAGAIN",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(20));
            s.recv(far, 16).fails("EAGAIN");
            s.send(near, "x");
            s.recv(far, 16).gives("x");
        },
    );
    theme.each(
        &STREAMS,
        "a send to a full peer waits until there is room",
        |s, kind| {
            let (near, far) = s.connected(kind);
            fill(s, near, far);
            s.send(near, "x").flags(MSG_DONTWAIT).fails("EAGAIN");
            let begun = s.send(near, "the rest").gives("8").starts();
            s.waits(begun);
            s.drain(far, "the rest");
            s.finish(begun);
        },
    );
    theme.each(
        &STREAMS,
        "SO_SNDTIMEO ends a send to a full peer in EAGAIN",
        |s, kind| {
            let (near, far) = s.connected(kind);
            fill(s, near, far);
            s.time_limit(near, SO_SNDTIMEO, Duration::from_millis(20));
            s.send(near, "x").fails("EAGAIN");
        },
    );
    theme.case(
        "unix stream: SO_SNDTIMEO is for each buffer of a send, and begins again with the next",
        |s| {
            let (near, far) = s.pair(UNIX_STREAM);
            // The least that there is: a send makes buffers of half of it, and waits until both are received.
            s.set(near, SOL_SOCKET, libc::SO_SNDBUF, 1);
            s.time_limit(near, SO_SNDTIMEO, Duration::from_secs(4));
            let begun = s.send(near, long(10_000)).gives("10000").starts();
            for _ in 0..2 {
                s.waits(begun);
                // Within the limit, and twice is longer than it.
                s.poll_for(far, Duration::from_millis(2_100));
                s.recv(far, 4_480).gives("4480 bytes");
            }
            s.finish(begun);
        },
    );
    theme.each(&STREAMS, "a long send goes through whole", |s, kind| {
        let (near, far) = s.connected(kind);
        let long = long(300_000);
        let begun = s.send(near, &long).gives("300000").starts();
        s.recv(far, 300_000)
            .flags(MSG_WAITALL)
            .gives("300000 bytes");
        s.finish(begun);
    });
    theme.each(&TCP, "MSG_TRUNC discards", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send(near, "abcdef");
        s.recv(far, 4).flags(MSG_TRUNC | MSG_WAITALL).gives("of 4");
        s.recv(far, 16).gives("ef");
    });
    theme.case("unix stream: MSG_TRUNC does nothing", |s| {
        let (near, far) = s.connected(UNIX_STREAM);
        s.send(near, "abcdef");
        s.recv(far, 4).flags(MSG_TRUNC).gives("abcd");
        s.recv(far, 16).gives("ef");
    });
    theme.each(
        &TCP,
        "MSG_MORE holds back until the next send",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "ab").flags(MSG_MORE);
            s.send(near, "cd");
            s.recv(far, 4).flags(MSG_WAITALL).gives("abcd");
        },
    );
    theme.each(
        &STREAMS,
        "flags that mean nothing here are taken",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "x")
                .flags(libc::MSG_DONTROUTE | libc::MSG_NOSIGNAL)
                .either();
            s.send(near, "y").flags(libc::MSG_EOR).either();
            s.send(near, "z");
            s.recv(far, 1).flags(libc::MSG_CONFIRM).either();
            // A number that has no name in the API.
            s.recv(far, 1).flags(0x10_0000).either();
        },
    );
    theme.each(&CONNECTED, "without a connection: ENOTCONN", |s, kind| {
        let socket = s.socket(kind);
        // TCP says EPIPE to a send.
        s.send(socket, "x").either();
        s.recv(socket, 16).either();
        s.recv(socket, 16).flags(MSG_PEEK | MSG_DONTWAIT).either();
    });
    theme.each(
        &TCP,
        "an address with a send on a connection is ignored",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send_to(near, "x", any_port(loopback(kind)));
            s.recv_from(far, 16).gives("x");
        },
    );
    theme.case(
        "unix stream: an address with a send on a connection is EISCONN",
        |s| {
            let (near, _far) = s.connected(UNIX_STREAM);
            s.send_to(near, "x", near).fails("EISCONN");
            let fresh = s.socket(UNIX_STREAM);
            s.send_to(fresh, "x", near).fails("EOPNOTSUPP");
        },
    );
    theme.each(&TCP, "what GetSocket tells of the queues", |s, kind| {
        let (near, far) = s.connected(kind);
        s.info(near);
        s.send(near, "12345");
        s.until_readable(far);
        s.info(far).gives("receive_queue: Some(5)");
        s.recv(far, 2);
        s.info(far).gives("receive_queue: Some(3)");
        s.recv(far, 3);
        s.shutdown(near, SHUT_WR);
        s.recv(far, 1).gives("end");
        s.info(far).gives("tcp_state: Some(8)");
        s.close(far);
    });
    theme
}

/// Bytes that show it if one is missing or out of its place.
pub(super) fn long(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at * 7 + at / 251) % 256).expect("below 256"))
        .collect()
}
