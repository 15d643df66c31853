//! SO_PEEK_OFF: peeks that begin where the last one ended.

use libc::{
    IP_RECVTTL, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SO_PEEK_OFF, SOL_IP,
    SOL_SOCKET,
};

use crate::{
    call::{Call, Kind, Slot},
    kinds::*,
    script::{Script, Step},
    theme::Theme,
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    // TCP has it since Linux 6.9, MPTCP not yet.
    theme.each(
        &ALL,
        "SO_PEEK_OFF moves with peeks and receives",
        |s, kind| {
            let (near, far) = match kind.kind {
                libc::SOCK_DGRAM => s.associated(kind),
                _ => s.connected(kind),
            };
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 1).either();
            s.send(near, "abcdef");
            s.until_readable(far);
            s.recv(far, 2).flags(MSG_PEEK);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.recv(far, 2).flags(MSG_PEEK | MSG_DONTWAIT).either();
            s.recv(far, 1);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, -1).either();
            s.recv(far, 16).flags(MSG_PEEK | MSG_DONTWAIT).either();
        },
    );
    theme.each(
        &TCP,
        "SO_PEEK_OFF: MSG_PEEK with MSG_WAITALL waits for what is new",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 0).either();
            s.send(near, "abcd");
            let begun = s
                .recv(far, 6)
                .flags(MSG_PEEK | MSG_WAITALL)
                .gives("abcdef")
                .starts();
            s.waits(begun);
            s.send(near, "efgh");
            s.finish(begun);
            s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
            s.recv(far, 16).gives("abcdefgh");
        },
    );
    theme.each(
        &TCP,
        "SO_PEEK_OFF: a peek waits for what is new",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 0).either();
            s.send(near, "abc");
            s.until_readable(far);
            s.recv(far, 16).flags(MSG_PEEK).gives("abc");
            s.recv(far, 16).flags(MSG_PEEK | MSG_DONTWAIT).either();
            s.send(near, "def");
            s.recv(far, 6).flags(MSG_WAITALL).gives("abcdef");
        },
    );
    every_flag(&mut theme);
    theme.each(
        &[("udp4", UDP4), ("udplite4", UDPLITE4)],
        "SO_PEEK_OFF: control messages come with every peek",
        |s, kind| {
            let (near, far) = s.associated(kind);
            s.set(far, SOL_IP, IP_RECVTTL, 1);
            s.set(far, SOL_SOCKET, SO_PEEK_OFF, 2);
            s.send(near, "abcd");
            for flags in [MSG_PEEK | MSG_TRUNC, MSG_PEEK, 0] {
                s.set(far, SOL_SOCKET, SO_PEEK_OFF, 2);
                s.recv_messages(far, 1).flags(flags).gives("ttl");
                s.get(far, SOL_SOCKET, SO_PEEK_OFF);
            }
        },
    );
    theme.each(&RECEIVERS, "SO_PEEK_OFF: off again", |s, kind| {
        let (near, far) = receivers(s, kind);
        s.set(far, SOL_SOCKET, SO_PEEK_OFF, 2).either();
        s.set(far, SOL_SOCKET, SO_PEEK_OFF, -1).either();
        s.send(near, "abcd");
        s.until_readable(far);
        s.recv(far, 2).flags(MSG_PEEK).gives("ab");
        s.recv(far, 2).gives("ab");
        s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
    });
    theme
}

/// What can have SO_PEEK_OFF, and MPTCP, which cannot yet.
const RECEIVERS: [(&str, Kind); 9] = ALL;

/// A sender and a receiver.
fn receivers(s: &mut Script, kind: Kind) -> (Slot, Slot) {
    match kind.kind {
        libc::SOCK_DGRAM => s.associated(kind),
        _ => s.connected(kind),
    }
}

/// Every way to receive, with every flag that has to do with lengths, from every offset: before, at and after the bounds of the messages
/// that are there. What is received, how long it is said to be, and where the offset is then.
fn every_flag(theme: &mut Theme) {
    let flags = [
        ("no flag", 0),
        ("MSG_PEEK", MSG_PEEK),
        ("MSG_TRUNC", MSG_TRUNC),
        ("MSG_PEEK|MSG_TRUNC", MSG_PEEK | MSG_TRUNC),
        (
            "MSG_PEEK|MSG_TRUNC|MSG_ERRQUEUE",
            MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE,
        ),
    ];
    for (text, flags) in flags {
        for offset in [0, 2, 5] {
            theme.each(
                &RECEIVERS,
                &format!("SO_PEEK_OFF {offset}: {text}"),
                |s, kind| {
                    let sockets = receivers(s, kind);
                    for way in 0..3 {
                        for length in [1, 16] {
                            receive_from(s, kind, sockets, (offset, flags, way, length));
                        }
                    }
                },
            );
        }
        theme.each(
            &DATAGRAMS,
            &format!("SO_PEEK_OFF: {text} and empty messages"),
            |s, kind| {
                let (near, far) = receivers(s, kind);
                for way in 0..3 {
                    for data in ["", "ab", "", "cd"] {
                        s.send(near, data);
                    }
                    s.until_readable(far);
                    s.set(far, SOL_SOCKET, SO_PEEK_OFF, 0);
                    for _ in 0..3 {
                        receive_by(s, far, way, 16)
                            .flags(flags | MSG_DONTWAIT)
                            .either();
                        s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
                    }
                    s.set(far, SOL_SOCKET, SO_PEEK_OFF, -1);
                    for _ in 0..4 {
                        s.recv(far, 16).flags(MSG_DONTWAIT).either();
                    }
                }
            },
        );
    }
}

fn receive_from(
    s: &mut Script,
    kind: Kind,
    (near, far): (Slot, Slot),
    (offset, flags, way, length): (i32, i32, usize, usize),
) {
    s.send(near, "abcd");
    s.send(near, "ef");
    s.send(near, "ghij");
    if kind.kind == libc::SOCK_STREAM {
        // All of it, or the first peek would see less.
        s.recv(far, 10).flags(MSG_PEEK | MSG_WAITALL).either();
    }
    s.until_readable(far);
    s.set(far, SOL_SOCKET, SO_PEEK_OFF, offset).either();
    for _ in 0..2 {
        receive_by(s, far, way, length)
            .flags(flags | MSG_DONTWAIT)
            .either();
        s.get(far, SOL_SOCKET, SO_PEEK_OFF).either();
    }
    // What is left, from its beginning.
    s.set(far, SOL_SOCKET, SO_PEEK_OFF, -1).either();
    for _ in 0..3 {
        s.recv(far, 16).flags(MSG_DONTWAIT).either();
    }
}

/// The `way`-th way to receive: by itself, or that many at once.
fn receive_by(s: &mut Script, far: Slot, way: usize, length: usize) -> &mut Step {
    match way {
        0 => s.recv_from(far, length),
        count => s.call(Call::RecvMessages {
            socket: far,
            count,
            length,
            control: 0,
            flags: 0,
        }),
    }
}
