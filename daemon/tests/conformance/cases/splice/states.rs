//! Sockets without a connection, and no sockets.

use libc::SHUT_WR;

use crate::{
    call::{Addr, Slot},
    kinds::*,
    theme::Theme,
};

pub(super) fn add(theme: &mut Theme) {
    theme.each(
        &CONNECTED,
        "splice: without a connection each direction says what its call says",
        |s, kind| {
            let first = s.socket(kind);
            let (second, far) = s.connected(kind);
            s.splice(first, second).gives("until");
            s.send(second, "whole");
            s.recv(far, 64).gives("whole");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: onto a socket without a connection",
        |s, kind| {
            let (_near, first) = s.connected(kind);
            let second = s.socket(kind);
            s.splice(first, second).gives("until");
        },
    );
    theme.each(&STREAMS, "splice: of a socket that listens", |s, kind| {
        let first = s.listener(kind);
        let (second, far) = s.connected(kind);
        s.splice(first, second).gives("until");
        s.send(second, "whole");
        s.recv(far, 64).gives("whole");
    });
    theme.case("unix seqpacket: splice: of a socket that listens", |s| {
        let first = s.listener(UNIX_SEQPACKET);
        let (second, far) = s.connected(UNIX_SEQPACKET);
        // Nothing tells that the first cannot be sent on.
        s.shutdown(far, SHUT_WR);
        s.splice(first, second)
            .gives("0 until recv ENOTCONN, back 0 to the end");
    });
    theme.each(
        &CONNECTED,
        "splice: a socket without a connection with itself",
        |s, kind| {
            let socket = s.socket(kind);
            s.splice(socket, socket).gives("0 until recv");
        },
    );
    theme.each(
        &CONNECTED,
        "splice: after a connect that was refused",
        |s, kind| {
            let first = s.socket(kind);
            let deaf: Addr = s.deaf(kind);
            s.connect(first, deaf).fails("ECONNREFUSED");
            let (second, _far) = s.connected(kind);
            s.splice(first, second).gives("until");
        },
    );
    theme.each(&CONNECTED, "splice: of no socket is EBADF", |s, kind| {
        let (first, peer) = s.connected(kind);
        s.splice(first, Slot::NONE).fails("EBADF");
        s.splice(Slot::NONE, first).fails("EBADF");
        s.send(first, "whole");
        s.recv(peer, 64).gives("whole");
    });
}
