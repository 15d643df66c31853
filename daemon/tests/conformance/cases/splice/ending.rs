//! Peers that reset, close and shut down.

use farsock_client::Address;
use libc::{POLLHUP, SHUT_RD, SHUT_WR};

use super::{UNIX_CONNECTED, world};
use crate::{kinds::*, theme::Theme};

pub(super) fn add(theme: &mut Theme) {
    let internet = [("tcp4", TCP4), ("tcp6", TCP6), ("mptcp4", MPTCP4)];
    theme.each(
        &internet,
        "splice: a reset of the first's peer is ECONNRESET there and EPIPE back",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("4 until recv ECONNRESET, back 0 until send EPIPE")
                .starts();
            s.send(near, "half");
            s.recv(far, 64).gives("half");
            s.abort(near);
            s.finish(begun);
            // The other connection is as it was.
            s.send(second, "sorry");
            s.recv(far, 64).gives("sorry");
            s.error_of(first);
        },
    );
    theme.each(
        &internet,
        "splice: a reset of the second's peer is ECONNRESET back and EPIPE there",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("0 until send EPIPE, back 4 until recv ECONNRESET")
                .starts();
            s.send(far, "half");
            s.recv(near, 64).gives("half");
            s.abort(far);
            s.finish(begun);
            s.send(first, "sorry");
            s.recv(near, 64).gives("sorry");
        },
    );
    theme.each(
        &internet,
        "splice: a reset that came before it is its first answer",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.abort(near);
            s.poll_until(&[(first, POLLHUP)]);
            s.splice(first, second)
                .gives("0 until recv ECONNRESET, back 0 until send EPIPE");
            s.send(second, "sorry");
            s.recv(far, 64).gives("sorry");
        },
    );
    for (name, is_first) in [("first", true), ("second", false)] {
        theme.each(
            &internet,
            &format!("splice: AF_UNSPEC of the {name} while it waits"),
            |s, kind| {
                let (near, first, second, far) = world(s, kind);
                let begun = s.splice(first, second).either().starts();
                s.waits(begun);
                let (dissolved, peer) = match is_first {
                    true => (first, near),
                    false => (second, far),
                };
                s.connect(dissolved, Address::Unspecified);
                s.recv(peer, 64).fails("ECONNRESET");
                if kind.protocol == libc::IPPROTO_MPTCP {
                    // There it is an end, and the other direction goes on.
                    let other = if is_first { far } else { near };
                    s.recv(other, 64).gives("end");
                    s.shutdown(other, SHUT_WR);
                }
                s.finish(begun);
                s.error_of(dissolved);
            },
        );
    }
    theme.each(
        &UNIX_CONNECTED,
        "splice: a peer that closes with bytes unread is ECONNRESET and EPIPE",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("0 until recv ECONNRESET, back 6 until send EPIPE")
                .starts();
            s.send(far, "unread");
            s.until_readable(near);
            s.close(near);
            s.finish(begun);
        },
    );
    theme.each(
        &TCP,
        "splice: a peer that has closed: what is sent is taken once, and then EPIPE",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("1 of 2 until send EPIPE, back 0 to the end")
                .starts();
            s.close(far);
            s.recv(near, 64).gives("end");
            s.send(near, "1");
            s.poll_until(&[(second, POLLHUP)]).gives("HUP");
            s.send(near, "2");
            s.finish(begun);
            // The rest is the first's as it was.
            s.send(near, "3");
            s.recv(first, 64).gives("3");
        },
    );
    theme.each(
        &UNIX_CONNECTED,
        "splice: a peer that has closed is EPIPE with the next bytes",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("0 of 5 until send EPIPE, back 0 to the end")
                .starts();
            s.close(far);
            s.recv(near, 64).gives("end");
            s.send(near, "12345");
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "splice: both peers that close are both ends",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("4 to the end, back 0 to")
                .starts();
            s.send(near, "last");
            s.close(near);
            s.recv(far, 64).gives("last");
            s.recv(far, 64).gives("end");
            s.close(far);
            s.finish(begun);
        },
    );
    theme.each(
        &CONNECTED,
        "splice: a first whose writing is shut down is EPIPE back",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.shutdown(first, SHUT_WR);
            s.send(near, "yes");
            s.shutdown(near, SHUT_WR);
            s.send(far, "no");
            s.splice(first, second)
                .gives("3 to the end, back 0 of 2 until send EPIPE");
            s.recv(far, 64).gives("yes");
            s.recv(far, 64).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: a first whose reading is shut down is at its end",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.shutdown(first, SHUT_RD);
            s.send(far, "back");
            s.shutdown(far, SHUT_WR);
            s.splice(first, second)
                .gives("0 to the end, back 4 to the end");
            s.recv(far, 64).gives("end");
            s.recv(near, 64).gives("back");
        },
    );
    theme.each(
        &UNIX_CONNECTED,
        "splice: a peer that reads no more is EPIPE, and is still heard",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.shutdown(near, SHUT_RD);
            s.send(far, "no");
            s.send(near, "yes");
            s.shutdown(near, SHUT_WR);
            s.splice(first, second)
                .gives("3 to the end, back 0 of 2 until send EPIPE");
            s.recv(far, 64).gives("yes");
            s.recv(far, 64).gives("end");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: reading that is shut down while it waits is the end",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            let begun = s
                .splice(first, second)
                .gives("4 to the end, back 0 to")
                .starts();
            s.send(near, "then");
            s.recv(far, 64).gives("then");
            s.shutdown(first, SHUT_RD);
            s.recv(far, 64).gives("end");
            s.shutdown(second, SHUT_RD);
            s.recv(near, 64).gives("end");
            s.finish(begun);
        },
    );
}
