//! Empty messages: each is one, and none is the end, wherever it stands and whichever call receives it.

use libc::{
    MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_WAITFORONE, SHUT_RD, SHUT_RDWR, SHUT_WR,
    SO_PASSCRED, SO_RCVTIMEO, SO_TIMESTAMP, SOL_SOCKET,
};

use super::splice::SOON;
use crate::{
    call::{Call, Slot},
    kinds::*,
    script::{Script, Step},
    theme::Theme,
};

/// What is sent, up to the end.
const SENT: [&[&str]; 6] = [
    &[""],
    &["", ""],
    &["a", ""],
    &["", "b"],
    &["", "", "c", "", "", "d", ""],
    &[],
];

/// What a receive is made with.
const FLAGS: [(&str, i32); 4] = [
    ("no flags", 0),
    ("MSG_DONTWAIT", MSG_DONTWAIT),
    ("MSG_WAITALL", MSG_WAITALL),
    ("MSG_TRUNC", MSG_TRUNC),
];

/// How the sender ends.
type End = fn(&mut Script, Slot);
const ENDS: [(&str, End); 3] = [
    ("shut down", |s, near| {
        s.shutdown(near, SHUT_WR);
    }),
    ("shut down both ways", |s, near| {
        s.shutdown(near, SHUT_RDWR);
    }),
    ("closed", |s, near| {
        s.close(near);
    }),
];

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();
    records(&mut theme);
    relays(&mut theme);

    theme.each(&MESSAGES, "empty messages are no end", |s, kind| {
        let (near, far) = match kind.kind {
            libc::SOCK_DGRAM => s.associated(kind),
            _ => s.connected(kind),
        };
        for _ in 0..2 {
            for data in ["", "x", ""] {
                s.send(near, data);
            }
        }
        for expected in ["0 \"\"", "x", "0 \"\""] {
            s.recv(far, 8).flags(MSG_PEEK).gives(expected);
            s.recv(far, 8).gives(expected);
        }
        s.recv_messages(far, 3);
        s.recv(far, 8).flags(MSG_DONTWAIT).fails("EAGAIN");
    });
    theme.each(
        &MESSAGES,
        "a waiting receive is woken by an empty message, which is no end",
        |s, kind| {
            let (near, far) = match kind.kind {
                libc::SOCK_DGRAM => s.associated(kind),
                _ => s.connected(kind),
            };
            let begun = s.recv_from(far, 8).starts();
            s.waits(begun);
            s.send(near, "");
            s.finish(begun);
            let begun = messages(s, far, 2, 0).starts();
            s.waits(begun);
            s.send(near, "");
            s.send(near, "");
            s.finish(begun);
        },
    );
    theme
}

fn records(theme: &mut Theme) {
    for (how, end) in ENDS {
        for (index, sent) in SENT.iter().enumerate() {
            for (name, flags) in FLAGS {
                theme.case(
                    format!("unix seqpacket: {how} behind records {index}: recv with {name}"),
                    |s| {
                        let far = ended(s, sent, end);
                        for data in *sent {
                            let expected = format!("{} {data:?}", data.len());
                            s.recv(far, 8).flags(flags | MSG_PEEK).gives(&*expected);
                            s.recv(far, 8).flags(flags).gives(expected);
                        }
                        for _ in 0..2 {
                            s.recv(far, 8).flags(flags | MSG_PEEK).gives("end");
                            s.recv_from(far, 8).flags(flags).gives("end");
                        }
                    },
                );
            }
            for (name, flags) in [("no flags", 0), ("MSG_WAITFORONE", MSG_WAITFORONE)] {
                theme.case(
                    format!("unix seqpacket: {how} behind records {index}: recvmmsg with {name}"),
                    |s| {
                        let far = ended(s, sent, end);
                        messages(s, far, 2, flags);
                        messages(s, far, sent.len().max(2), flags);
                        messages(s, far, 1, flags).gives("end");
                    },
                );
            }
        }
        for (name, option) in [("SO_TIMESTAMP", SO_TIMESTAMP), ("SO_PASSCRED", SO_PASSCRED)] {
            theme.case(
                format!("unix seqpacket: {how} behind empty records: {name}"),
                |s| {
                    let (near, far) = s.pair(UNIX_SEQPACKET);
                    s.set(far, SOL_SOCKET, option, 1);
                    for data in ["", "", "a", "", "", ""] {
                        s.send(near, data);
                    }
                    end(s, near);
                    s.recv(far, 8);
                    s.recv_messages(far, 3);
                    s.recv(far, 8);
                    s.recv_messages(far, 2);
                    s.get(far, SOL_SOCKET, option);
                },
            );
        }
    }
    theme.case(
        "unix seqpacket: an end that the receiver has made itself comes behind what was sent",
        |s| {
            let (near, far) = s.pair(UNIX_SEQPACKET);
            for data in ["", "a", ""] {
                s.send(near, data);
            }
            s.shutdown(far, SHUT_RD);
            for _ in 0..5 {
                s.recv(far, 8);
            }
        },
    );
    theme.case(
        "unix seqpacket: time stamps are as they were set after the end",
        |s| {
            let far = ended(s, &["", ""], ENDS[0].1);
            for _ in 0..3 {
                s.get(far, SOL_SOCKET, SO_TIMESTAMP);
                s.recv(far, 8);
                s.get(far, SOL_SOCKET, SO_TIMESTAMP);
            }
        },
    );
}

fn relays(theme: &mut Theme) {
    for (index, sent) in SENT.iter().enumerate() {
        theme.case(
            format!("unix seqpacket: splice: records {index} come, and the end behind them"),
            |s| {
                let (near, first) = s.pair(UNIX_SEQPACKET);
                let (second, far) = s.pair(UNIX_SEQPACKET);
                for data in *sent {
                    s.send(near, *data);
                }
                s.shutdown(near, SHUT_WR);
                s.shutdown(far, SHUT_WR);
                let bytes: usize = sent.iter().map(|data| data.len()).sum();
                s.splice(first, second)
                    .gives(format!("{bytes} to the end, back 0 to the end"));
                for data in *sent {
                    s.recv(far, 8).gives(format!("{} {data:?}", data.len()));
                }
                s.recv(far, 8).gives("end");
            },
        );
    }
    theme.case(
        "splice: empty records become empty datagrams, and empty datagrams records",
        |s| {
            let (near, first) = s.pair(UNIX_SEQPACKET);
            let (second, far) = s.pair(UNIX_DGRAM);
            for data in ["", "a", ""] {
                s.send(near, data);
                s.send(far, data);
            }
            s.shutdown(near, SHUT_WR);
            s.time_limit(second, SO_RCVTIMEO, SOON);
            s.splice(first, second).either();
            for _ in 0..3 {
                s.recv(near, 8);
                s.recv(far, 8);
            }
            s.recv(far, 8).flags(MSG_DONTWAIT).either();
            s.recv(near, 8).flags(MSG_DONTWAIT).either();
        },
    );
}

/// The receiver of records behind which the sender ended.
fn ended(s: &mut Script, sent: &[&str], end: End) -> Slot {
    let (near, far) = s.pair(UNIX_SEQPACKET);
    for data in sent {
        s.send(near, *data);
    }
    end(s, near);
    far
}

fn messages(s: &mut Script, socket: Slot, count: usize, flags: i32) -> &mut Step {
    s.call(Call::RecvMessages {
        socket,
        count,
        length: 8,
        control: 0,
        flags,
    })
}
