//! The kinds of sockets that most cases are about, and how they get an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use farsock_client::Address;
use libc::{
    AF_INET, AF_INET6, AF_UNIX, IPPROTO_MPTCP, IPPROTO_UDPLITE, SOCK_DGRAM, SOCK_SEQPACKET,
    SOCK_STREAM,
};

use crate::{
    call::{Addr, Kind, Slot},
    script::Script,
    theme::{Need, Theme},
};

pub(crate) const TCP4: Kind = Kind::new(AF_INET, SOCK_STREAM, 0);
pub(crate) const TCP6: Kind = Kind::new(AF_INET6, SOCK_STREAM, 0);
pub(crate) const MPTCP4: Kind = Kind::new(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
pub(crate) const UDP4: Kind = Kind::new(AF_INET, SOCK_DGRAM, 0);
pub(crate) const UDP6: Kind = Kind::new(AF_INET6, SOCK_DGRAM, 0);
pub(crate) const UDPLITE4: Kind = Kind::new(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
pub(crate) const UNIX_STREAM: Kind = Kind::new(AF_UNIX, SOCK_STREAM, 0);
pub(crate) const UNIX_DGRAM: Kind = Kind::new(AF_UNIX, SOCK_DGRAM, 0);
pub(crate) const UNIX_SEQPACKET: Kind = Kind::new(AF_UNIX, SOCK_SEQPACKET, 0);

/// Streams of bytes.
pub(crate) const STREAMS: [(&str, Kind); 4] = [
    ("tcp4", TCP4),
    ("tcp6", TCP6),
    ("mptcp4", MPTCP4),
    ("unix stream", UNIX_STREAM),
];
/// What has connections.
pub(crate) const CONNECTED: [(&str, Kind); 5] = [
    ("tcp4", TCP4),
    ("tcp6", TCP6),
    ("mptcp4", MPTCP4),
    ("unix stream", UNIX_STREAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];
/// TCP proper.
pub(crate) const TCP: [(&str, Kind); 2] = [("tcp4", TCP4), ("tcp6", TCP6)];
/// Internet datagrams.
pub(crate) const UDP: [(&str, Kind); 3] = [("udp4", UDP4), ("udp6", UDP6), ("udplite4", UDPLITE4)];
/// Datagrams.
pub(crate) const DATAGRAMS: [(&str, Kind); 4] = [
    ("udp4", UDP4),
    ("udp6", UDP6),
    ("udplite4", UDPLITE4),
    ("unix dgram", UNIX_DGRAM),
];
/// What keeps the bounds of messages.
pub(crate) const MESSAGES: [(&str, Kind); 4] = [
    ("udp4", UDP4),
    ("udp6", UDP6),
    ("unix dgram", UNIX_DGRAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];
/// Of this host.
pub(crate) const UNIX: [(&str, Kind); 3] = [
    ("unix stream", UNIX_STREAM),
    ("unix dgram", UNIX_DGRAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];
/// All of them.
pub(crate) const ALL: [(&str, Kind); 9] = [
    ("tcp4", TCP4),
    ("tcp6", TCP6),
    ("mptcp4", MPTCP4),
    ("udp4", UDP4),
    ("udp6", UDP6),
    ("udplite4", UDPLITE4),
    ("unix stream", UNIX_STREAM),
    ("unix dgram", UNIX_DGRAM),
    ("unix seqpacket", UNIX_SEQPACKET),
];

pub(crate) const LOCAL4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const LOCAL6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// `host` and a port of 0.
pub(crate) fn any_port(host: impl Into<IpAddr>) -> Addr {
    ip(host, 0)
}

pub(crate) fn ip(host: impl Into<IpAddr>, port: u16) -> Addr {
    Addr::Plain(Address::Ip(SocketAddr::new(host.into(), port)))
}

/// The loopback address of the kind's family.
pub(crate) fn loopback(kind: Kind) -> IpAddr {
    if kind.domain == AF_INET6 {
        LOCAL6
    } else {
        LOCAL4
    }
}

/// What a machine needs to have for sockets of this kind.
fn need(kind: Kind) -> Option<Need> {
    match kind {
        Kind {
            domain: AF_INET6, ..
        } => Some(Need::Ipv6),
        Kind { protocol: 0, .. } => None,
        kind => Some(Need::Kind(kind)),
    }
}

impl Theme {
    /// Adds a case for each of these kinds, under the kind's name and `what`.
    pub(crate) fn each(
        &mut self,
        kinds: &[(&str, Kind)],
        what: &str,
        write: impl Fn(&mut Script, Kind),
    ) {
        for (name, kind) in kinds {
            self.add(format!("{name}: {what}"), need(*kind), |script| {
                write(script, *kind)
            });
        }
    }
}

impl Script {
    /// A local address of the kind's family that no other socket has.
    pub(crate) fn local(&mut self, kind: Kind) -> Addr {
        match kind.domain {
            AF_UNIX => Addr::Path(format!("{:?}", self.slot()).replace('#', "socket-")),
            _ => any_port(loopback(kind)),
        }
    }

    /// A socket with a local address.
    pub(crate) fn bound(&mut self, kind: Kind) -> Slot {
        let socket = self.socket(kind);
        let address = self.local(kind);
        self.bind(socket, address);
        socket
    }

    /// A socket that listens, with room for 16 connections.
    pub(crate) fn listener(&mut self, kind: Kind) -> Slot {
        let listener = self.bound(kind);
        self.listen(listener, 16);
        listener
    }

    /// Two sockets that are connected with each other: the one that connected, and the one that accepted.
    pub(crate) fn connected(&mut self, kind: Kind) -> (Slot, Slot) {
        let listener = self.listener(kind);
        let near = self.socket(kind);
        self.connect(near, listener);
        let far = self.accept(listener);
        self.close(listener);
        (near, far)
    }

    /// Two datagram sockets with addresses, the first of which is connected with the second.
    pub(crate) fn associated(&mut self, kind: Kind) -> (Slot, Slot) {
        let near = self.bound(kind);
        let far = self.bound(kind);
        self.connect(near, far);
        (near, far)
    }

    /// A sender and a receiver of messages.
    pub(crate) fn messengers(&mut self, kind: Kind) -> (Slot, Slot) {
        if kind.kind == SOCK_SEQPACKET {
            self.connected(kind)
        } else {
            self.associated(kind)
        }
    }

    /// An address of the kind's family where nobody listens: that of a socket which has it and does not.
    pub(crate) fn deaf(&mut self, kind: Kind) -> Addr {
        let socket = self.bound(kind);
        if kind.kind == SOCK_DGRAM {
            // It hears itself alone.
            self.connect(socket, socket);
        }
        socket.into()
    }

    /// Waits until there is something to receive or accept.
    pub(crate) fn until_readable(&mut self, socket: Slot) {
        self.poll_until(&[(socket, libc::POLLIN)]);
    }
}
