//! Messages: their bounds, their lengths, and what has no end.

use libc::{SHUT_WR, SO_RCVTIMEO, SO_SNDBUF, SOL_SOCKET};

use super::{SOON, datagram_world, limit, noise, world};
use crate::{kinds::*, theme::Theme};

pub(super) fn add(theme: &mut Theme) {
    theme.each(
        &DATAGRAMS,
        "splice: datagrams keep their bounds, the empty one too",
        |s, kind| {
            let (near, first, second, far) = datagram_world(s, kind);
            for length in [1, 0, 500, 3] {
                s.send(near, noise(3, length));
            }
            s.send(far, "one");
            limit(s, [first, second]);
            s.splice(first, second)
                .gives("504 until recv EAGAIN, back 3 until recv EAGAIN");
            for _ in 0..4 {
                s.recv(far, 600);
            }
            s.recv(near, 64).gives("one");
        },
    );
    theme.case("unix seqpacket: splice: records keep their bounds", |s| {
        let (near, first, second, far) = world(s, UNIX_SEQPACKET);
        for length in [1, 70_000, 3] {
            s.send(near, noise(4, length));
        }
        s.shutdown(near, SHUT_WR);
        s.shutdown(far, SHUT_WR);
        s.splice(first, second).gives("70004 to the end, back 0 to");
        for _ in 0..3 {
            s.recv(far, 100_000);
        }
        s.recv(far, 64).gives("end");
    });
    theme.case(
        "splice: a datagram that is too long for the other kind is EMSGSIZE",
        |s| {
            let ((near, first), (second, far)) = (s.pair(UNIX_DGRAM), s.associated(UDP4));
            s.send(near, noise(5, 10));
            s.send(near, noise(5, 66_000));
            s.send(near, "behind");
            limit(s, [first, second]);
            s.splice(first, second)
                .gives("10 of 66010 until send EMSGSIZE, back 0 until recv EAGAIN");
            s.recv(far, 64);
            s.recv(first, 64).gives("behind");
        },
    );
    theme.case(
        "splice: a datagram that is too long for SO_SNDBUF is EMSGSIZE",
        |s| {
            let (near, first, second, _far) = datagram_world(s, UNIX_DGRAM);
            s.set(second, SOL_SOCKET, SO_SNDBUF, 0);
            s.send(near, noise(6, 20_000));
            limit(s, [first, second]);
            s.splice(first, second)
                .gives("0 of 20000 until send EMSGSIZE, back 0 until recv EAGAIN");
        },
    );
    theme.each(
        &DATAGRAMS,
        "splice: a datagram to nobody is the error of send",
        |s, kind| {
            let (near, first) = s.associated(kind);
            let second = s.bound(kind);
            s.send(near, "whereto");
            limit(s, [first, second]);
            let no = if kind.domain == libc::AF_UNIX {
                "ENOTCONN"
            } else {
                "EDESTADDRREQ"
            };
            s.splice(first, second)
                .gives(format!("0 of 7 until send {no}, back 0 until recv EAGAIN"));
        },
    );
    theme.each(
        &UDP,
        "splice: a port that nobody has any more is ECONNREFUSED of the next receive",
        |s, kind| {
            let (near, first, second, far) = datagram_world(s, kind);
            s.close(near);
            s.send(far, "lost");
            s.time_limit(second, SO_RCVTIMEO, SOON);
            s.splice(first, second)
                .gives("0 until recv ECONNREFUSED, back 4 until recv EAGAIN");
        },
    );
    theme.case(
        "unix dgram: splice: a peer that has closed is ECONNREFUSED of send",
        |s| {
            let (near, first, second, far) = datagram_world(s, UNIX_DGRAM);
            s.close(far);
            s.send(near, "lost");
            limit(s, [first, second]);
            s.splice(first, second)
                .gives("0 of 4 until send ECONNREFUSED, back 0 until recv EAGAIN");
        },
    );
}
