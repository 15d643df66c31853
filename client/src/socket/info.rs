//! What the daemon knows of a socket, as ss(8) would show it.

use std::time::SystemTime;

use farsock_proto::{Violation, v1};

use crate::{
    Address, Domain, Protocol, RemoteSocket, Result, SocketCounters, SocketState, SocketType,
    TcpInfo,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::GetSocketRequest {
    type Response = v1::GetSocketResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/GetSocket";
    const VERB: &'static str = "info";
    const CARRIED: Option<Carried<Self>> = carried!(GetSocket);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

/// A socket's state.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketInfo {
    /// Its handle.
    pub handle: u64,
    /// Its domain.
    pub domain: Domain,
    /// Its type.
    pub kind: SocketType,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its state; `None` if the kernel does not tell one for this kind of socket.
    pub state: Option<SocketState>,
    /// The local address, if the kernel tells it.
    pub local_address: Option<Address>,
    /// The peer's address, if there is a peer.
    pub peer_address: Option<Address>,
    /// Whether calls on it end in EAGAIN or EINPROGRESS instead of waiting.
    pub nonblocking: bool,
    /// Bytes received and not yet read; of a datagram socket, the next datagram's; of a listening
    /// TCP socket, connections waiting for an accept. `None` if the kernel does not tell.
    pub receive_queue: Option<u64>,
    /// Bytes sent and not yet acknowledged or taken; of a listening TCP socket, the backlog's
    /// limit. `None` if the kernel does not tell.
    pub send_queue: Option<u64>,
    /// When the handle came to be, by the daemon's clock.
    pub create_time: SystemTime,
    /// What was moved through this handle.
    pub counters: SocketCounters,
    /// Operations that wait on this handle now.
    pub waiting_operations: u32,
    /// The socket's inode, as /proc/net and ss(8) name it.
    pub inode: u64,
    /// Whether the next byte to read is at the out-of-band mark.
    pub at_mark: bool,
    /// Whose it is: "uid 0", "tcp" or "embedded".
    pub owner: String,
    /// The session that it belongs to, if it does not live until it is closed.
    pub session_id: Option<String>,
    /// TCP's own state and measurements: of TCP sockets, and from [`RemoteSocket::info`] alone.
    pub tcp_info: Option<TcpInfo>,
}

impl RemoteSocket {
    /// Tells the socket's state, addresses, queues and counters. Corresponds to what ss(8) shows.
    ///
    /// # Errors
    ///
    /// [`Reason::HandleNotFound`](crate::Reason::HandleNotFound).
    pub async fn info(&self) -> Result<SocketInfo> {
        let handle = self.handle;
        self.client
            .ask(v1::GetSocketRequest { handle }, |response| {
                socket_info(*convert::present("socket", response.socket)?)
                    .map_err(|violation| violation.within("socket"))
            })
            .await
    }
}

pub(super) fn socket_info(socket: v1::Socket) -> Result<SocketInfo, Violation> {
    Ok(SocketInfo {
        handle: socket.handle,
        domain: convert::domain(socket.domain, socket.raw_domain),
        kind: convert::socket_type(socket.r#type, socket.raw_type),
        protocol: convert::protocol(socket.protocol, socket.raw_protocol),
        state: match socket.state() {
            SocketState::Unspecified => None,
            state => Some(state),
        },
        local_address: convert::optional_address("local_address", socket.local_address)?,
        peer_address: convert::optional_address("peer_address", socket.peer_address)?,
        nonblocking: socket.nonblocking,
        receive_queue: socket.receive_queue,
        send_queue: socket.send_queue,
        create_time: convert::time("create_time", socket.create_time)?,
        counters: socket.counters.unwrap_or_default(),
        waiting_operations: socket.waiting_operations,
        inode: socket.inode,
        at_mark: socket.at_mark,
        owner: socket.owner,
        session_id: (!socket.session_id.is_empty()).then_some(socket.session_id),
        tcp_info: socket.tcp_info.map(|info| *info),
    })
}
