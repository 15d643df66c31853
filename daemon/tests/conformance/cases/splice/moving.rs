//! What arrives: bytes in order, the end after them, urgent bytes.

use libc::{MSG_OOB, MSG_WAITALL, SHUT_WR, SO_OOBINLINE, SOL_SOCKET};

use super::{noise, world};
use crate::{call::Call, kinds::*, theme::Theme};

pub(super) fn add(theme: &mut Theme) {
    theme.each(
        &CONNECTED,
        "splice: what was queued before goes both ways, and then the ends",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.send(near, "request");
            s.shutdown(near, SHUT_WR);
            s.send(far, "the answer");
            s.shutdown(far, SHUT_WR);
            s.splice(first, second)
                .gives("7 to the end, back 10 to the end");
            s.recv(far, 64).gives("request");
            s.recv(far, 64).gives("end");
            s.recv(near, 64).gives("the answer");
            s.recv(near, 64).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: the end of one direction is passed on while the other goes on",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("7 to the end, back 13 to")
                .starts();
            s.send(near, "request");
            s.recv(far, 64).gives("request");
            s.shutdown(near, SHUT_WR);
            s.recv(far, 64).gives("end");
            s.send(far, "the answer");
            s.recv(near, 64).gives("the answer");
            s.send(far, "...");
            s.recv(near, 64).gives("...");
            s.shutdown(far, SHUT_WR);
            s.recv(near, 64).gives("end");
            s.finish(begun);
            s.send(first, "x").fails("EPIPE");
            s.send(second, "x").fails("EPIPE");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: the end of the second goes to the first alone",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("3 to the end, back 0 to")
                .starts();
            s.shutdown(far, SHUT_WR);
            s.recv(near, 64).gives("end");
            s.send(near, "yes");
            s.recv(far, 64).gives("yes");
            s.shutdown(near, SHUT_WR);
            s.recv(far, 64).gives("end");
            s.finish(begun);
        },
    );
    theme.each(
        &STREAMS,
        "splice: many bytes arrive whole and in order, both ways at once",
        |s, kind| {
            const COUNT: usize = 1_000_003;
            let (near, first, second, far) = world(s, kind);
            let relay = s
                .splice(first, second)
                .gives("1000003 to the end, back 1000003 to the end")
                .starts();
            let there = s.send(near, noise(1, COUNT)).starts();
            let back = s.send(far, noise(2, COUNT)).starts();
            let (at_far, at_near) = (
                s.recv(far, COUNT).flags(MSG_WAITALL).starts(),
                s.recv(near, COUNT).flags(MSG_WAITALL).starts(),
            );
            for begun in [there, back, at_far, at_near] {
                s.finish(begun);
            }
            s.shutdown(near, SHUT_WR);
            s.shutdown(far, SHUT_WR);
            s.recv(far, 1).gives("end");
            s.recv(near, 1).gives("end");
            s.finish(relay);
        },
    );
    theme.case("splice: from tcp to a unix stream and back", |s| {
        let ((near, first), (second, far)) = (s.connected(TCP4), s.connected(UNIX_STREAM));
        let begun = s
            .splice(first, second)
            .gives("5 to the end, back 4 to")
            .starts();
        s.send(near, "hello");
        s.recv(far, 64).gives("hello");
        s.send(far, "bye.");
        s.recv(near, 64).gives("bye.");
        s.close(near);
        s.recv(far, 64).gives("end");
        s.close(far);
        s.finish(begun);
    });
    theme.each(
        &CONNECTED,
        "splice: a socket with itself is an echo",
        |s, kind| {
            let (near, first) = s.connected(kind);
            let begun = s.splice(first, first).gives("8 to the end").starts();
            s.send(near, "echo");
            s.recv(near, 64).gives("echo");
            s.send(near, "once");
            s.recv(near, 64).gives("once");
            s.shutdown(near, SHUT_WR);
            s.recv(near, 64).gives("end");
            s.finish(begun);
        },
    );
    theme.each(
        &[
            ("tcp4", TCP4),
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "splice: sockets with O_NONBLOCK are waited for as others are",
        |s, kind| {
            let sockets = [0, 1].map(|_| {
                let listener = s.listener(kind);
                let peer = s.socket(kind);
                s.connect(peer, listener);
                s.until_readable(listener);
                let slot = s.slot();
                s.call(Call::Accept {
                    listener,
                    nonblocking: true,
                })
                .makes(&[slot]);
                (peer, slot)
            });
            let [(near, first), (far, second)] = sockets;
            let begun = s
                .splice(first, second)
                .gives("5 to the end, back 2 to")
                .starts();
            s.send(near, "hello");
            s.recv(far, 64).gives("hello");
            s.send(far, "ho");
            s.recv(near, 64).gives("ho");
            s.shutdown(near, SHUT_WR);
            s.recv(far, 64).gives("end");
            s.shutdown(far, SHUT_WR);
            s.finish(begun);
        },
    );
    let urgent = [("tcp4", TCP4), ("tcp6", TCP6), ("unix stream", UNIX_STREAM)];
    theme.each(&urgent, "splice: an urgent byte is left out", |s, kind| {
        let (near, first, second, far) = world(s, kind);
        s.send(near, "before");
        s.send(near, "!").flags(MSG_OOB);
        s.send(near, "after");
        s.shutdown(near, SHUT_WR);
        s.shutdown(far, SHUT_WR);
        s.splice(first, second).gives("11 to the end, back 0 to");
        s.recv(far, 11).flags(MSG_WAITALL).gives("beforeafter");
        s.recv(far, 64).gives("end");
    });
    theme.each(
        &urgent,
        "splice: an urgent byte at the end is left out",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.send(near, "before");
            s.send(near, "!").flags(MSG_OOB);
            s.shutdown(near, SHUT_WR);
            s.shutdown(far, SHUT_WR);
            s.splice(first, second).gives("6 to the end, back 0 to");
            s.recv(far, 64).gives("before");
            s.recv(far, 64).gives("end");
        },
    );
    theme.each(
        &urgent,
        "splice: an urgent byte in line goes with the others",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.set(first, SOL_SOCKET, SO_OOBINLINE, 1);
            s.send(near, "before");
            s.send(near, "!").flags(MSG_OOB);
            s.send(near, "after");
            s.shutdown(near, SHUT_WR);
            s.shutdown(far, SHUT_WR);
            s.splice(first, second).gives("12 to the end, back 0 to");
            s.recv(far, 12).flags(MSG_WAITALL).gives("before!after");
            s.recv(far, 64).gives("end");
        },
    );
}
