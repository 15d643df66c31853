//! Many messages in one call: sendmmsg(2), recvmmsg(2).

use std::time::Duration;

use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_WAITFORONE, POLLHUP, POLLRDHUP, SO_RCVTIMEO};

use crate::{kinds::*, script::out, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &MESSAGES,
        "several messages go and come in order",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send_messages(near, vec![out("one"), out("two"), out("three")])
                .gives("[3, 3, 5]");
            s.recv_messages(far, 3).gives("three");
        },
    );
    theme.each(
        &MESSAGES,
        "a receive waits for all that it asks for",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send(near, "one");
            let begun = s.recv_messages(far, 3).gives("three").starts();
            s.waits(begun);
            s.send(near, "two");
            s.waits(begun);
            s.send(near, "three");
            s.finish(begun);
        },
    );
    theme.each(
        &MESSAGES,
        "MSG_WAITFORONE waits for the first alone",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            let begun = s
                .recv_messages(far, 3)
                .flags(MSG_WAITFORONE)
                .gives("one")
                .starts();
            s.waits(begun);
            s.send(near, "one");
            s.finish(begun);
            s.send_messages(near, vec![out("two"), out("three")]);
            s.poll_until(&[(far, libc::POLLIN)]);
            s.recv_messages(far, 2).flags(MSG_WAITFORONE).gives("three");
        },
    );
    theme.each(&MESSAGES, "MSG_DONTWAIT takes what is there", |s, kind| {
        let (near, far) = s.messengers(kind);
        s.recv_messages(far, 3).flags(MSG_DONTWAIT).fails("EAGAIN");
        s.send_messages(near, vec![out("one"), out("two")]);
        s.until_readable(far);
        s.recv_messages(far, 3).flags(MSG_DONTWAIT).gives("two");
    });
    theme.each(
        &MESSAGES,
        "SO_RCVTIMEO ends it with what there is",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(20));
            s.recv_messages(far, 3).fails("EAGAIN");
            s.send_messages(near, vec![out("one"), out("two")]);
            s.recv_messages(far, 3).gives("two");
        },
    );
    theme.each(
        &MESSAGES,
        "MSG_PEEK sees the first again and again",
        |s, kind| {
            let (near, far) = s.messengers(kind);
            s.send_messages(near, vec![out("one"), out("two")]);
            s.until_readable(far);
            s.recv_messages(far, 2).flags(MSG_PEEK).either();
            s.recv_messages(far, 2).gives("two");
        },
    );
    theme.each(&DATAGRAMS, "each message has its own address", |s, kind| {
        let near = s.bound(kind);
        let first = s.bound(kind);
        let second = s.bound(kind);
        s.send_messages(near, vec![out("one").to(first), out("two").to(second)]);
        s.recv_messages(first, 1).gives("one");
        s.recv_messages(second, 1).gives("two");
    });
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "sending stops at an error",
        |s, kind| {
            let (near, far) = s.associated(kind);
            let long = vec![0; 70_000];
            s.send_messages(near, vec![out("one"), out(&long), out("three")])
                .gives("[3]");
            s.recv(far, 16).gives("one");
            s.send_messages(near, vec![out(&long), out("three")])
                .fails("EMSGSIZE");
            s.recv(far, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "receiving stops at an error, which the next call tells",
        |s, kind| {
            let near = s.bound(kind);
            let peer = s.bound(kind);
            s.connect(near, peer);
            s.connect(peer, near);
            s.send(peer, "one");
            s.until_readable(near);
            s.close(peer);
            let begun = s.recv_messages(near, 2).gives("one").starts();
            s.waits(begun);
            s.send(near, "anybody?");
            s.finish(begun);
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("ECONNREFUSED");
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "the error that sending stopped at is told to nobody",
        |s, kind| {
            let (near, far) = s.associated(kind);
            let long = vec![0; 70_000];
            s.send_messages(near, vec![out("one"), out(&long), out("three")])
                .gives("[3]");
            s.poll(&[(near, 0)]).gives("[]");
            s.error_of(near).gives("[0");
            s.send(near, "next").gives("4");
            s.recv(far, 16).gives("one");
            s.recv(far, 16).gives("next");
        },
    );
    theme.each(
        &[("udp4", UDP4), ("udp6", UDP6)],
        "the error that receiving stopped at is poll's and SO_ERROR's",
        |s, kind| {
            let near = s.bound(kind);
            let peer = s.bound(kind);
            s.connect(near, peer);
            s.connect(peer, near);
            s.send(peer, "one");
            s.until_readable(near);
            s.close(peer);
            let begun = s.recv_messages(near, 2).gives("one").starts();
            s.waits(begun);
            s.send(near, "anybody?");
            s.finish(begun);
            s.poll(&[(near, 0)]).gives("ERR");
            s.error_of(near).gives("[111");
            s.error_of(near).gives("[0");
            s.recv(near, 16).flags(MSG_DONTWAIT).fails("EAGAIN");
        },
    );
    theme.each(&STREAMS, "a stream: messages are only pieces", |s, kind| {
        let (near, far) = s.connected(kind);
        s.send_messages(near, vec![out("one"), out(""), out("two")])
            .gives("[3, 0, 3]");
        s.recv(far, 6).flags(MSG_WAITALL).gives("onetwo");
    });
    theme.each(
        &STREAMS,
        "a stream: each piece is what a receive would be",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "one");
            let begun = s.recv_messages(far, 2).starts();
            s.waits(begun);
            s.send(near, "two");
            s.finish(begun);
        },
    );
    theme.each(
        &STREAMS,
        "a stream: MSG_WAITFORONE takes the pieces that are there",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, vec![7; 300]);
            s.recv(far, 300).flags(MSG_PEEK | MSG_WAITALL).either();
            s.recv_messages(far, 3)
                .flags(MSG_WAITFORONE)
                .gives("256 bytes")
                .gives("| 44");
        },
    );
    theme.each(
        &CONNECTED,
        "the end is received as often as asked for",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "one");
            s.until_readable(far);
            s.close(near);
            s.recv_messages(far, 3).gives("end");
        },
    );
    for (waiting, flags) in [("blocking", 0), ("MSG_DONTWAIT", MSG_DONTWAIT)] {
        // A reset that comes after the end is EPIPE, and every receive returns 0 all the same.
        theme.each(
            &TCP,
            &format!("the end is received as often as asked for beside an error: {waiting}"),
            |s, kind| {
                for bytes in ["", "bytes"] {
                    let (near, far) = s.connected(kind);
                    s.send(far, bytes);
                    s.close(far);
                    s.poll_until(&[(near, POLLRDHUP)]);
                    s.send(near, "nobody reads this");
                    s.poll_until(&[(near, POLLHUP)]).gives("ERR");
                    let several = s.recv_messages(near, 3).flags(flags);
                    match bytes.is_empty() {
                        true => several.gives("0 \"\" end | 0 \"\" end | 0 \"\" end"),
                        false => several.gives("| 0 \"\" end | 0 \"\" end"),
                    };
                    s.recv_messages(near, 2).flags(flags).gives("end | 0");
                    s.poll(&[(near, 0)]).gives("ERR");
                    s.error_of(near).gives("[32");
                    s.error_of(near).gives("[0");
                }
            },
        );
        theme.each(
            &TCP,
            &format!("a reset behind bytes is the next call's: {waiting}"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                s.send(far, "bytes");
                s.until_readable(near);
                s.abort(far);
                s.poll_until(&[(near, POLLHUP)]).gives("ERR");
                s.recv_messages(near, 3).flags(flags).gives("bytes");
                s.poll(&[(near, 0)]).gives("ERR");
                s.recv_messages(near, 3).flags(flags).fails("ECONNRESET");
                s.poll(&[(near, 0)]);
                s.recv_messages(near, 2).flags(flags).gives("end | 0");
            },
        );
    }
    theme.each(
        &UDP,
        "after SHUT_RD nothing is received as often as asked for",
        |s, kind| {
            let (near, _far) = s.associated(kind);
            s.shutdown(near, libc::SHUT_RD);
            s.recv_messages(near, 3);
        },
    );
    theme.each(
        &CONNECTED,
        "sending stops with the connection",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.shutdown(near, libc::SHUT_WR);
            s.send_messages(near, vec![out("one"), out("two")])
                .fails("EPIPE");
            s.recv(far, 16).gives("end");
        },
    );
    theme.each(
        &TCP,
        "a long stream message goes through whole",
        |s, kind| {
            let (near, far) = s.connected(kind);
            let long = super::stream::long(200_000);
            let begun = s
                .send_messages(near, vec![out(&long), out("end")])
                .gives("[200000, 3]")
                .starts();
            s.recv(far, 200_003)
                .flags(MSG_WAITALL)
                .gives("200003 bytes");
            s.finish(begun);
        },
    );
    theme
}
