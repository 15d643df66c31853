//! GetSocket on the wire.

use farsock_proto::{
    Violation, time,
    v1::{GetSocketRequest, GetSocketResponse, Socket, SocketCounters, SocketState},
};

use super::Verb;
use crate::{
    operation::{GetSocket, SocketReport, State},
    table::Handle,
};

impl Verb for GetSocketRequest {
    type Operation = GetSocket;
    type Response = GetSocketResponse;

    fn operation(&mut self) -> Result<GetSocket, Violation> {
        Ok(GetSocket {
            handle: Handle(self.handle),
        })
    }

    fn response(self, report: SocketReport) -> GetSocketResponse {
        GetSocketResponse {
            socket: Some(Box::new(socket(report))),
        }
    }
}

/// A socket on the wire.
pub(super) fn socket(report: SocketReport) -> Socket {
    let kind = report.kind;
    Socket {
        handle: report.handle.0,
        domain: kind.domain().named().unwrap_or_default().into(),
        raw_domain: kind.domain,
        r#type: kind.socket_type().named().unwrap_or_default().into(),
        raw_type: kind.kind,
        protocol: kind.protocol().named().unwrap_or_default().into(),
        raw_protocol: kind.protocol,
        state: state(report.state).into(),
        local_address: report.local.map(Into::into),
        peer_address: report.peer.map(Into::into),
        nonblocking: report.nonblocking,
        receive_queue: report.receive_queue,
        send_queue: report.send_queue,
        create_time: Some(time::timestamp_to_wire(report.create_time)),
        counters: Some(SocketCounters {
            bytes_sent: report.bytes_sent,
            bytes_received: report.bytes_received,
            messages_sent: report.messages_sent,
            messages_received: report.messages_received,
            connections_accepted: report.connections_accepted,
        }),
        waiting_operations: u32::try_from(report.waiting).unwrap_or(u32::MAX),
        inode: report.inode,
        at_mark: report.at_mark,
        owner: report.owner.to_string(),
        session_id: report.session_id.unwrap_or_default(),
        tcp_info: report.tcp_info,
    }
}

fn state(state: State) -> SocketState {
    match state {
        State::Unspecified => SocketState::Unspecified,
        State::Unconnected => SocketState::Unconnected,
        State::SynSent => SocketState::SynSent,
        State::SynReceived => SocketState::SynReceived,
        State::Established => SocketState::Established,
        State::FinWait1 => SocketState::FinWait1,
        State::FinWait2 => SocketState::FinWait2,
        State::TimeWait => SocketState::TimeWait,
        State::CloseWait => SocketState::CloseWait,
        State::LastAck => SocketState::LastAck,
        State::Listen => SocketState::Listen,
        State::Closing => SocketState::Closing,
    }
}
