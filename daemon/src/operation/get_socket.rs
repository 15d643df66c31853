//! GetSocket: what ss(8) shows of a socket, and more.

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use farsock_proto::{address::Address, option::OptionValue, v1};

use super::{Context, Operation};
use crate::{
    engine::Owner,
    error::Result,
    journal::{Answer, CallText},
    socket::Socket,
    sys::{
        self, option,
        socket::{Kind, State},
    },
    table::Handle,
};

/// Tells a socket's state.
#[derive(Debug)]
pub(crate) struct GetSocket {
    pub(crate) handle: Handle,
}

/// What is known of a socket.
#[derive(Debug)]
pub(crate) struct SocketReport {
    pub(crate) handle: Handle,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) local: Option<Address>,
    pub(crate) peer: Option<Address>,
    pub(crate) nonblocking: bool,
    pub(crate) receive_queue: Option<u64>,
    pub(crate) send_queue: Option<u64>,
    pub(crate) create_time: SystemTime,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) connections_accepted: u64,
    pub(crate) waiting: usize,
    pub(crate) inode: u64,
    pub(crate) at_mark: bool,
    pub(crate) owner: Owner,
    pub(crate) session_id: Option<String>,
    pub(crate) tcp_info: Option<Box<v1::TcpInfo>>,
}

impl Operation for GetSocket {
    const VERB: &'static str = "GetSocket";
    type Output = SocketReport;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "getsocket({})", self.handle)
    }

    fn answer(_output: &SocketReport) -> Answer<'_> {
        Answer::number(0)
    }

    async fn execute(self, context: &Context) -> Result<SocketReport> {
        let socket = context.socket(self.handle)?;
        let tcp_info = option::find(v1::SocketOption::TcpInfo)
            .and_then(|row| option::get(socket.as_fd(), row, None).ok());
        Ok(SocketReport {
            tcp_info: match tcp_info {
                Some(OptionValue::TcpInfo(info)) => Some(info),
                _ => None,
            },
            ..report(&socket)
        })
    }
}

/// All but TCP_INFO. What the kernel does not tell of this kind of socket is absent.
pub(super) fn report(socket: &Arc<Socket>) -> SocketReport {
    let fd = socket.as_fd();
    let counters = &socket.counters;
    SocketReport {
        handle: socket.handle(),
        // Asked again: IPV6_ADDRFORM makes an AF_INET socket of an AF_INET6 one.
        kind: sys::socket::kind(fd).unwrap_or(socket.kind()),
        state: sys::socket::state(fd),
        local: sys::socket::local_address(fd).unwrap_or_default(),
        peer: sys::socket::peer_address(fd).unwrap_or_default(),
        nonblocking: socket.is_nonblocking(),
        receive_queue: socket.unread(sys::socket::receive_queue(fd)),
        send_queue: sys::socket::send_queue(fd),
        create_time: socket.create_time(),
        bytes_sent: counters.bytes_sent.load(Ordering::Relaxed),
        bytes_received: counters.bytes_received.load(Ordering::Relaxed),
        messages_sent: counters.messages_sent.load(Ordering::Relaxed),
        messages_received: counters.messages_received.load(Ordering::Relaxed),
        connections_accepted: counters.connections_accepted.load(Ordering::Relaxed),
        waiting: socket.waiting(),
        inode: sys::socket::inode(fd),
        at_mark: !socket.has_kept() && sys::socket::at_mark(fd),
        owner: socket.owner(),
        session_id: socket
            .session()
            .map(|session| session.session_id().to_owned()),
        tcp_info: None,
    }
}
