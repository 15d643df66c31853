//! Splice: a relay between two sockets of which each has a peer. Of the four, `near` and `far` are the peers, and `first` and `second` are
//! relayed between.

mod ending;
mod limits;
mod messages;
mod moving;
mod states;

use std::time::Duration;

use libc::SO_RCVTIMEO;

use crate::{
    call::{Kind, Slot},
    kinds::*,
    script::Script,
    theme::Theme,
};

const UNIX_CONNECTED: [(&str, Kind); 2] = [
    ("unix stream", UNIX_STREAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];

/// Long enough for what is on its way, and short enough to wait for.
pub(super) const SOON: Duration = Duration::from_millis(20);

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();
    moving::add(&mut theme);
    ending::add(&mut theme);
    limits::add(&mut theme);
    messages::add(&mut theme);
    states::add(&mut theme);
    theme
}

/// Two connections of a kind: `near`, `first`, `second` and `far`.
fn world(s: &mut Script, kind: Kind) -> (Slot, Slot, Slot, Slot) {
    let ((near, first), (second, far)) = (s.connected(kind), s.connected(kind));
    (near, first, second, far)
}

/// The same of datagrams, whose sockets all have peers.
fn datagram_world(s: &mut Script, kind: Kind) -> (Slot, Slot, Slot, Slot) {
    if kind.domain == libc::AF_UNIX {
        let ((near, first), (second, far)) = (s.pair(kind), s.pair(kind));
        return (near, first, second, far);
    }
    let mut both = || {
        let (one, other) = s.associated(kind);
        s.connect(other, one);
        (one, other)
    };
    let ((near, first), (second, far)) = (both(), both());
    (near, first, second, far)
}

/// Without an end of the stream a time limit has to end both directions.
fn limit(s: &mut Script, sockets: [Slot; 2]) {
    for socket in sockets {
        s.time_limit(socket, SO_RCVTIMEO, SOON);
    }
}

/// Bytes that are like no others of the same length.
fn noise(mut seed: u64, length: usize) -> Vec<u8> {
    let step = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[0]
    };
    (0..length).map(step).collect()
}
