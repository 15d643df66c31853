//! A pending error and queued data at once: which of the two each call reports first.

use libc::{
    MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_WAITFORONE, POLLERR, POLLIN, POLLRDHUP, SHUT_WR,
    SO_TIMESTAMPING, SOL_SOCKET,
};

use crate::{
    call::{Call, Kind, Slot},
    kinds::*,
    script::{Script, Step},
    theme::Theme,
};

/// A call that receives up to `length` bytes.
type Way = (&'static str, fn(&mut Script, Slot, usize) -> &mut Step);

const WAYS: [Way; 8] = [
    ("recv", |s, socket, length| s.recv(socket, length)),
    ("recv, MSG_PEEK", |s, socket, length| {
        s.recv(socket, length).flags(MSG_PEEK)
    }),
    ("recv, MSG_WAITALL", |s, socket, length| {
        s.recv(socket, length).flags(MSG_WAITALL)
    }),
    ("recvfrom", |s, socket, length| s.recv_from(socket, length)),
    ("recvmsg", |s, socket, length| {
        messages(s, socket, 1, length)
    }),
    ("recvmsg, MSG_DONTWAIT", |s, socket, length| {
        messages(s, socket, 1, length).flags(MSG_DONTWAIT)
    }),
    ("several, MSG_WAITFORONE", |s, socket, length| {
        messages(s, socket, 4, length).flags(MSG_WAITFORONE)
    }),
    ("several, MSG_DONTWAIT", |s, socket, length| {
        messages(s, socket, 4, length).flags(MSG_DONTWAIT)
    }),
];

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();
    for (way, call) in WAYS {
        theme.each(
            &[("tcp4", TCP4), ("tcp6", TCP6), ("unix stream", UNIX_STREAM)],
            &format!("{way}: bytes that came before a reset come first"),
            |s, kind| {
                for length in [2, 4, 16] {
                    let far = reset_behind_data(s, kind);
                    for _ in 0..3 {
                        call(s, far, length).either();
                    }
                    s.error_of(far);
                    s.recv(far, 16);
                }
            },
        );
        theme.each(
            &[
                ("udp4", UDP4),
                ("udp6", UDP6),
                ("udplite4", UDPLITE4),
                ("unix seqpacket", UNIX_SEQPACKET),
            ],
            &format!("{way}: of messages and an error"),
            |s, kind| {
                let far = match kind.domain {
                    libc::AF_UNIX => reset_behind_data(s, kind),
                    _ => refused_beside_data(s, kind),
                };
                for _ in 0..2 {
                    call(s, far, 16).flags(MSG_DONTWAIT).either();
                }
                s.error_of(far);
                s.recv(far, 16).flags(MSG_DONTWAIT).either();
            },
        );
        // Of several parts, calls one by one lose what they meet here.
        if way.starts_with("several") {
            continue;
        }
        theme.each(
            &[("tcp4", TCP4), ("tcp6", TCP6), ("mptcp4", MPTCP4)],
            &format!("{way}: bytes, the end, and a reset behind it"),
            |s, kind| {
                let (near, far) = s.connected(kind);
                s.send(near, "abcdef");
                s.shutdown(near, SHUT_WR);
                s.poll_until(&[(far, POLLRDHUP)]);
                s.abort(near);
                s.poll_until(&[(far, POLLERR)]);
                for _ in 0..3 {
                    call(s, far, 16).flags(MSG_DONTWAIT).either();
                }
                s.error_of(far).either();
                s.recv(far, 16).flags(MSG_DONTWAIT).either();
            },
        );
    }
    theme.each(
        &TCP,
        "an entry of the error queue is no error that ends a wait for more",
        |s, kind| {
            let (near, far) = s.connected(kind);
            // SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE, _OPT_TSONLY.
            s.set(near, SOL_SOCKET, SO_TIMESTAMPING, 1 << 1 | 1 << 4 | 1 << 11);
            s.send(near, "stamped");
            s.poll_until(&[(near, POLLERR)]);
            for flags in [MSG_WAITALL | MSG_PEEK, MSG_WAITALL] {
                let begun = match flags & MSG_PEEK {
                    0 => s.recv(near, 6).flags(flags).gives("\"abcdef\"").starts(),
                    _ => {
                        s.send(far, "ab");
                        s.until_readable(near);
                        s.recv(near, 4).flags(flags).gives("\"abcd\"").starts()
                    }
                };
                s.waits(begun);
                s.send(far, if flags & MSG_PEEK == 0 { "ef" } else { "cd" });
                s.finish(begun);
            }
        },
    );
    theme
}

fn messages(s: &mut Script, socket: Slot, count: usize, length: usize) -> &mut Step {
    s.call(Call::RecvMessages {
        socket,
        count,
        length,
        control: 64,
        flags: 0,
    })
}

/// A connection whose peer has sent "abcdef" and then reset it.
fn reset_behind_data(s: &mut Script, kind: Kind) -> Slot {
    let (near, far) = s.connected(kind);
    if kind.domain == libc::AF_UNIX {
        // Unread data makes a reset of a close.
        s.send(far, "unread");
    }
    s.send(near, "abcdef");
    s.until_readable(far);
    s.abort(near);
    s.poll_until(&[(far, POLLERR)]);
    far
}

/// A socket that has received "abcdef", and what it has sent was refused.
fn refused_beside_data(s: &mut Script, kind: Kind) -> Slot {
    let deaf = s.deaf(kind);
    let socket = s.bound(kind);
    match kind.domain {
        libc::AF_INET6 => s.set(socket, libc::SOL_IPV6, libc::IPV6_RECVERR, 1),
        _ => s.set(socket, libc::SOL_IP, libc::IP_RECVERR, 1),
    };
    let peer = s.bound(kind);
    s.send_to(peer, "abcdef", socket);
    s.poll_until(&[(socket, POLLIN)]);
    s.send_to(socket, "anybody?", deaf);
    s.poll_until(&[(socket, POLLERR)]);
    socket
}
