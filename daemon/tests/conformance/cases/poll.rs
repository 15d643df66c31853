//! Waiting for several sockets: poll(2).

use std::time::Duration;

use libc::{POLLIN, POLLOUT, POLLPRI, POLLRDHUP};

use crate::{
    call::{Call, Slot},
    kinds::*,
    theme::Theme,
};

const EVERYTHING: i16 = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(&ALL, "what a fresh socket is ready for", |s, kind| {
        let socket = s.socket(kind);
        s.poll(&[(socket, EVERYTHING)]);
        s.poll(&[(socket, 0)]);
        let bound = s.bound(kind);
        s.poll(&[(bound, EVERYTHING)]);
    });
    theme.each(
        &CONNECTED,
        "what connected sockets are ready for",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.poll(&[(near, EVERYTHING), (far, EVERYTHING)])
                .gives("0:OUT 1:OUT");
            s.send(near, "x");
            s.until_readable(far);
            s.poll(&[(near, EVERYTHING), (far, EVERYTHING)])
                .gives("0:OUT 1:IN+OUT");
            s.close(near);
            s.poll_until(&[(far, POLLRDHUP)]);
            s.poll(&[(far, EVERYTHING)]);
            s.recv(far, 16).either();
            s.poll(&[(far, EVERYTHING)]);
        },
    );
    theme.each(
        &CONNECTED,
        "a listener is readable while a connection waits",
        |s, kind| {
            let listener = s.listener(kind);
            s.poll(&[(listener, EVERYTHING)]).gives("[]");
            let near = s.socket(kind);
            let begun = s
                .poll_until(&[(listener, EVERYTHING)])
                .gives("0:IN")
                .starts();
            s.waits(begun);
            s.connect(near, listener);
            s.finish(begun);
            s.accept(listener);
            s.poll(&[(listener, EVERYTHING)]).gives("[]");
        },
    );
    theme.each(&CONNECTED, "a poll that waits sees data", |s, kind| {
        let (near, far) = s.connected(kind);
        let begun = s.poll_until(&[(far, POLLIN)]).gives("0:IN").starts();
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
        // Nothing was taken.
        s.recv(far, 16).gives("x");
    });
    theme.each(
        &CONNECTED,
        "a poll for nothing still sees the end of both directions",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let begun = s.poll_until(&[(near, 0)]).gives("0:HUP").starts();
            s.waits(begun);
            s.shutdown(near, libc::SHUT_RDWR);
            s.finish(begun);
            s.recv(far, 16).gives("end");
        },
    );
    theme.each(&CONNECTED, "a poll sees the peer's reset", |s, kind| {
        let (near, far) = s.connected(kind);
        let begun = s.poll_until(&[(near, 0)]).starts();
        s.waits(begun);
        s.abort(far);
        s.finish(begun);
        s.poll(&[(near, EVERYTHING)]);
    });
    theme.each(
        &STREAMS,
        "a full socket is not writable until the peer has read",
        |s, kind| {
            let (near, far) = s.connected(kind);
            super::close::fill(s, near, far);
            s.poll(&[(near, POLLOUT)]).gives("[]");
            let begun = s.poll_until(&[(near, POLLOUT)]).gives("0:OUT").starts();
            s.waits(begun);
            // All that is on the way, and then a little that says so.
            let last = s.send(near, "done").starts();
            s.drain(far, "done");
            s.finish(last);
            s.finish(begun);
        },
    );
    theme.each(&DATAGRAMS, "a datagram socket", |s, kind| {
        let (near, far) = s.associated(kind);
        s.poll(&[(near, EVERYTHING), (far, EVERYTHING)])
            .gives("0:OUT 1:OUT");
        s.send(near, "x");
        s.until_readable(far);
        s.poll(&[(far, EVERYTHING)]).gives("IN+OUT");
    });
    theme.case(
        "several sockets: the answer has those that are ready, in order",
        |s| {
            let (near, far) = s.connected(UNIX_STREAM);
            let (_other, silent) = s.connected(UNIX_STREAM);
            let udp = s.bound(UDP4);
            s.send(near, "x");
            s.until_readable(far);
            s.poll(&[
                (silent, POLLIN),
                (far, POLLIN),
                (udp, POLLIN),
                (near, POLLOUT),
            ])
            .gives("ready [1:IN 3:OUT]");
        },
    );
    theme.case("the same socket several times", |s| {
        let (near, far) = s.pair(UNIX_STREAM);
        s.send(near, "x");
        s.poll(&[
            (far, POLLIN),
            (far, POLLOUT),
            (far, POLLPRI),
            (far, POLLIN | POLLOUT),
        ])
        .gives("ready [0:IN 1:OUT 3:IN+OUT]");
    });
    theme.case("one of several wakes the poll", |s| {
        let (_, first) = s.pair(UNIX_DGRAM);
        let (near, second) = s.pair(UNIX_DGRAM);
        let begun = s
            .poll_until(&[(first, POLLIN), (second, POLLIN)])
            .gives("ready [1:IN]")
            .starts();
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
    });
    theme.case("what does not exist is NVAL, and does not wait", |s| {
        let (_near, far) = s.pair(UNIX_STREAM);
        s.poll(&[(Slot::NONE, POLLIN)]).gives("ready [0:NVAL]");
        s.poll_until(&[(far, POLLIN), (Slot::NONE, 0)])
            .gives("ready [1:NVAL]");
    });
    theme.case("a poll that finds nothing ends empty", |s| {
        let (_near, far) = s.pair(UNIX_STREAM);
        s.poll(&[(far, POLLIN)]).gives("[]");
        s.call(Call::Poll {
            entries: vec![(far, POLLIN)],
            timeout: Some(Duration::from_millis(20)),
        })
        .gives("[]");
    });
    theme.case("SO_RCVTIMEO does not limit a poll", |s| {
        let (near, far) = s.pair(UNIX_STREAM);
        s.time_limit(far, libc::SO_RCVTIMEO, Duration::from_millis(1));
        let begun = s.poll_until(&[(far, POLLIN)]).gives("0:IN").starts();
        s.waits(begun);
        s.recv(far, 16).fails("EAGAIN");
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
    });
    theme.case("unix seqpacket and dgram: the peer's end", |s| {
        let (near, far) = s.pair(UNIX_SEQPACKET);
        s.close(near);
        s.poll(&[(far, EVERYTHING)]);
        let (near, far) = s.pair(UNIX_DGRAM);
        s.close(near);
        s.poll(&[(far, EVERYTHING)]);
        s.send(far, "x").fails("ECONNREFUSED");
        s.poll(&[(far, EVERYTHING)]);
    });
    theme.each(
        &TCP,
        "a reset that MSG_WAITALL met is poll's and SO_ERROR's",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abc");
            let begun = s
                .recv(far, 6)
                .flags(libc::MSG_WAITALL)
                .gives("abc")
                .starts();
            s.waits(begun);
            s.abort(near);
            s.finish(begun);
            s.poll(&[(far, POLLIN)]).gives("ERR");
            s.error_of(far).gives("[104");
            s.recv(far, 6).gives("end");
        },
    );
    theme
}
