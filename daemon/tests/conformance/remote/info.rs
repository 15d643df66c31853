//! What the client tells of a socket, in the oracle's numbers.

use farsock_client::{Domain, Protocol, SocketInfo, SocketState, SocketType};

use crate::outcome::Info;

pub(super) fn known(info: &SocketInfo) -> Info {
    let tcp = info.tcp_info.is_some();
    let listening = info.state == Some(SocketState::Listen);
    Info {
        domain: match info.domain {
            Domain::Unix => libc::AF_UNIX,
            Domain::Inet => libc::AF_INET,
            Domain::Inet6 => libc::AF_INET6,
            _ => -1,
        },
        kind: match info.kind {
            SocketType::Stream => libc::SOCK_STREAM,
            SocketType::Dgram => libc::SOCK_DGRAM,
            SocketType::Seqpacket => libc::SOCK_SEQPACKET,
            _ => -1,
        },
        protocol: match info.protocol {
            Protocol::Default => 0,
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
            Protocol::Mptcp => libc::IPPROTO_MPTCP,
            _ => -1,
        },
        tcp_state: tcp.then(|| info.state.map_or(0, tcp_state)),
        receive_queue: info.receive_queue.filter(|_| !listening),
        send_queue: info.send_queue.filter(|_| !listening),
        connections: info.receive_queue.filter(|_| listening && tcp),
        at_mark: info.at_mark,
        nonblocking: info.nonblocking,
    }
}

/// net/tcp_states.h.
fn tcp_state(state: SocketState) -> u8 {
    match state {
        SocketState::Unspecified => 0,
        SocketState::Established => 1,
        SocketState::SynSent => 2,
        SocketState::SynReceived => 3,
        SocketState::FinWait1 => 4,
        SocketState::FinWait2 => 5,
        SocketState::TimeWait => 6,
        SocketState::Unconnected => 7,
        SocketState::CloseWait => 8,
        SocketState::LastAck => 9,
        SocketState::Listen => 10,
        SocketState::Closing => 11,
    }
}
