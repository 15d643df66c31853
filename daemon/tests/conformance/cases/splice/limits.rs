//! SO_RCVTIMEO, SO_SNDTIMEO, and sockets that are full.

use std::time::Duration;

use libc::{SHUT_WR, SO_RCVTIMEO, SO_SNDTIMEO};

use super::{SOON, limit, world};
use crate::{kinds::*, theme::Theme};

pub(super) fn add(theme: &mut Theme) {
    theme.each(
        &CONNECTED,
        "splice: SO_RCVTIMEO of both ends both in EAGAIN",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.send(near, "there");
            s.send(far, "back");
            limit(s, [first, second]);
            s.splice(first, second)
                .gives("5 until recv EAGAIN, back 4 until recv EAGAIN");
            s.recv(far, 64).gives("there");
            s.recv(near, 64).gives("back");
            // Nothing was passed on.
            s.send(second, "more");
            s.recv(far, 64).gives("more");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: SO_RCVTIMEO of one leaves the other",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.time_limit(first, SO_RCVTIMEO, Duration::from_millis(1));
            let begun = s
                .splice(first, second)
                .gives("0 until recv EAGAIN, back 4 to the end")
                .starts();
            s.send(far, "back");
            s.recv(near, 64).gives("back");
            s.shutdown(far, SHUT_WR);
            s.recv(near, 64).gives("end");
            s.finish(begun);
        },
    );
    // Of TCP a probe of the closed window may make room at any time.
    theme.case(
        "unix stream: splice: SO_SNDTIMEO of a full socket is EAGAIN with the bytes undelivered",
        |s| {
            let (near, first, second, far) = world(s, UNIX_STREAM);
            s.fill(second);
            s.time_limit(second, SO_SNDTIMEO, SOON);
            s.send(near, "stuck");
            s.shutdown(far, SHUT_WR);
            s.splice(first, second)
                .gives("0 of 5 until send EAGAIN, back 0 to the end");
            s.recv(near, 64).gives("end");
            s.close(second);
            s.drain(far, "");
        },
    );
    theme.each(
        &STREAMS,
        "splice: a full socket is waited for",
        |s, kind| {
            let (near, first, second, far) = world(s, kind);
            s.fill(second);
            let begun = s
                .splice(first, second)
                .gives("4 to the end, back 0 to")
                .starts();
            s.send(near, "tail");
            s.shutdown(near, SHUT_WR);
            s.shutdown(far, SHUT_WR);
            s.recv(near, 64).gives("end");
            s.drain(far, "tail");
            s.recv(far, 64).gives("end");
            s.finish(begun);
        },
    );
}
