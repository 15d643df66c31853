//! SO_RCVTIMEO and SO_SNDTIMEO themselves, and buffer sizes.

use std::time::Duration;

use libc::{SO_RCVBUF, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO, SOL_SOCKET};

use crate::{
    call::{Call, Slot},
    kinds::*,
    script::Script,
    theme::Theme,
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(&ALL, "time limits read back", |s, kind| {
        let socket = s.socket(kind);
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            read(s, socket, option);
            s.time_limit(socket, option, Duration::from_millis(1_500));
            read(s, socket, option);
            s.time_limit(socket, option, Duration::from_micros(1));
            read(s, socket, option);
            s.time_limit(socket, option, Duration::ZERO);
            read(s, socket, option);
        }
    });
    theme.case("a time limit that is none is EDOM", |s| {
        let socket = s.socket(UDP4);
        let value = [0i64.to_ne_bytes(), 1_000_000i64.to_ne_bytes()].concat();
        s.set_bytes(socket, SOL_SOCKET, SO_RCVTIMEO, value)
            .fails("EDOM");
        s.set_bytes(socket, SOL_SOCKET, SO_RCVTIMEO, [0; 4])
            .fails("EINVAL");
    });
    theme.case("a negative time limit reads back as none", |s| {
        let socket = s.bound(UDP4);
        let value = [(-1i64).to_ne_bytes(), 0i64.to_ne_bytes()].concat();
        s.set_bytes(socket, SOL_SOCKET, SO_RCVTIMEO, value);
        read(s, socket, SO_RCVTIMEO);
    });
    theme.case(
        "a time limit that is set while a receive waits is the next one's",
        |s| {
            let (near, far) = s.associated(UDP4);
            let begun = s.recv(far, 16).gives("x").starts();
            s.waits(begun);
            s.time_limit(far, SO_RCVTIMEO, Duration::from_millis(1));
            s.recv(far, 16).flags(libc::MSG_DONTWAIT).fails("EAGAIN");
            s.send(near, "x");
            s.finish(begun);
            s.recv(far, 16).fails("EAGAIN");
        },
    );
    theme.case("the receive limit is not the send limit", |s| {
        let (near, far) = s.connected(UNIX_STREAM);
        s.time_limit(far, SO_SNDTIMEO, Duration::from_millis(1));
        let begun = s.recv(far, 16).gives("x").starts();
        s.waits(begun);
        s.send(near, "x");
        s.finish(begun);
    });
    theme.each(
        &ALL,
        "buffers are doubled, and have a least size",
        |s, kind| {
            let socket = s.socket(kind);
            for option in [SO_SNDBUF, SO_RCVBUF] {
                for size in [20_000, 0, -1] {
                    s.set(socket, SOL_SOCKET, option, size);
                    s.get(socket, SOL_SOCKET, option);
                }
            }
        },
    );
    theme.case(
        "udp4: a receive buffer that is full drops, and says how often",
        |s| {
            let (near, far) = s.associated(UDP4);
            s.set(far, SOL_SOCKET, SO_RCVBUF, 0);
            s.set(far, SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
            for _ in 0..8 {
                s.send(near, [7; 1000]);
            }
            s.recv_messages(far, 1);
            s.recv(far, 16).flags(libc::MSG_DONTWAIT).fails("EAGAIN");
            s.send(near, "after");
            s.recv_messages(far, 1).gives("overflow=");
        },
    );
    theme
}

fn read(s: &mut Script, socket: Slot, option: i32) {
    s.call(Call::GetOpt {
        socket,
        level: SOL_SOCKET,
        number: option,
        room: 16,
    });
}
