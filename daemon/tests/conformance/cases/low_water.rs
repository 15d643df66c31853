//! SO_RCVLOWAT: what is too little to end a wait is there all the same when time is over.

use std::time::Duration;

use libc::{MSG_PEEK, MSG_WAITALL, SO_RCVLOWAT, SO_RCVTIMEO, SOL_SOCKET};

use crate::{
    call::{Call, Kind, Slot},
    kinds::*,
    script::{Script, Step},
    theme::Theme,
};

/// Long enough for bytes to arrive meanwhile, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(3);

/// One way of receiving.
type Receive = fn(&mut Script, Slot) -> &mut Step;

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();
    let ways: [(&str, Kind, Receive); 4] = [
        ("tcp4: recv", TCP4, |s, socket| s.recv(socket, 64)),
        ("tcp6: recvmsg", TCP6, |s, socket| {
            s.call(Call::RecvMessages {
                socket,
                count: 1,
                length: 64,
                control: 0,
                flags: 0,
            })
        }),
        ("tcp4: recv, MSG_PEEK", TCP4, |s, socket| {
            s.recv(socket, 64).flags(MSG_PEEK)
        }),
        ("tcp4: recvfrom, MSG_WAITALL", TCP4, |s, socket| {
            s.recv_from(socket, 64).flags(MSG_WAITALL)
        }),
    ];
    for (way, kind, call) in ways {
        theme.each(
            &[(way, kind)],
            "what came is returned when SO_RCVTIMEO is over",
            |s, kind| {
                let (near, far) = s.connected(kind);
                s.set(far, SOL_SOCKET, SO_RCVLOWAT, 1000);
                s.time_limit(far, SO_RCVTIMEO, LIMIT);
                let begun = call(s, far).gives("\"abcd\"").starts();
                s.waits(begun);
                s.send(near, "ab");
                s.send(near, "cd");
                s.finish(begun);
            },
        );
    }
    theme.each(
        &STREAMS,
        "a receive that does not wait takes less than SO_RCVLOWAT",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "abcd");
            s.until_readable(far);
            s.set(far, SOL_SOCKET, SO_RCVLOWAT, 1000).either();
            s.recv(far, 2)
                .flags(MSG_PEEK | libc::MSG_DONTWAIT)
                .gives("\"ab\"");
            s.recv(far, 64).flags(libc::MSG_DONTWAIT).gives("\"abcd\"");
        },
    );
    theme.each(
        &STREAMS,
        "the end of the stream ends a wait for SO_RCVLOWAT",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_RCVLOWAT, 1000).either();
            s.send(near, "abcd");
            let begun = s.recv(far, 2000).gives("\"abcd\"").starts();
            s.waits(begun);
            s.shutdown(near, libc::SHUT_WR);
            s.finish(begun);
        },
    );
    theme
}
