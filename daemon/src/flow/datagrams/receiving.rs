//! The direction of datagrams in which the client receives: as many as credit allows, and the count of those that the kernel dropped.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
};

use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    option::OptionValue,
    socket::SocketType,
    v1,
};

use super::{DatagramFlow, OVERHEAD};
use crate::{
    error::Call,
    flow::items::{BATCH, Taken},
    operation::{Context as Caller, ReceivedMessage},
    socket::{ReceiveRequest, Socket},
    sys::{
        self,
        message::{Framing, Received},
        socket::Events,
    },
};

/// How many bytes one receive has room for.
const RECEIVE: usize = 2 << 20;
/// Room for the count of dropped datagrams: one control message of an int.
const DROPS: usize = 24;

/// What of each datagram is received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// 1-65,536 bytes.
    pub(crate) length: usize,
    /// At most 16,384 bytes.
    pub(crate) control_length: usize,
}

impl DatagramFlow {
    /// Receives what is there and there is room for.
    pub(super) fn receive(
        &self,
        caller: &Caller,
        shape: Shape,
        socket: &Arc<Socket>,
        room: u64,
        ready: Events,
    ) -> Taken<ReceivedMessage> {
        let each = shape.length as u64 + OVERHEAD;
        let fitting = usize::try_from(room / each).unwrap_or(BATCH);
        let count = fitting.min(RECEIVE / shape.length).min(BATCH);
        if count == 0 {
            return Taken::NoRoom;
        }
        let request = ReceiveRequest {
            length: shape.length,
            flags: MessageFlags::NONE,
            address: true,
        };
        let received = socket.take_deferred().and_then(|()| {
            sys::message::receive_messages(
                socket.as_fd(),
                count,
                shape.length,
                shape.control_length + if self.counts_drops { 0 } else { DROPS },
                request.flags,
                Framing::Message,
            )
        });
        let mut received = match received {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return match ready.contains(Events::RDHUP) {
                    // Its reading side was shut down.
                    true => Taken::Last(Vec::new()),
                    false => Taken::Nothing,
                };
            }
            Err(error) => {
                return Taken::Failed(Call::on("recvmmsg", self.handle).failed(error));
            }
        };
        let over = cut_at_end(socket, &mut received);
        socket.count_received(&received);
        let items = received
            .into_iter()
            .map(|mut message| {
                self.take_drops(shape, &mut message);
                let cost = message.data.len() as u64 + OVERHEAD;
                let message = ReceivedMessage::new(caller, socket, request, message);
                (cost, message)
            })
            .collect();
        match over {
            true => Taken::Last(items),
            false => Taken::Items(items),
        }
    }

    /// Takes the count of dropped datagrams out of a message, unless the socket's user has asked for it too.
    fn take_drops(&self, shape: Shape, message: &mut Received) {
        message.control.retain(|control| match control {
            ControlMessage::ReceiveQueueOverflow(count) => {
                self.drops.store(*count, Ordering::Relaxed);
                self.counts_drops
            }
            _ => true,
        });
        if shape.control_length == 0 && !message.control.is_empty() {
            // There was room for the count alone.
            message.control.clear();
            message.flags |= MessageFlags::CTRUNC;
        }
    }
}

/// Switches SO_RXQ_OVFL on; whether it was on before. A socket without it has nothing to count.
pub(super) fn count_drops(socket: &Socket) -> bool {
    let Some(row) = sys::option::find(v1::SocketOption::SoRxqOvfl) else {
        return false;
    };
    let on = OptionValue::Flag(true);
    if matches!(sys::option::get(socket.as_fd(), row, None), Ok(value) if value == on) {
        return true;
    }
    // Where it fails, no count comes.
    let _ = sys::option::set(socket.as_fd(), row, &on);
    false
}

/// At the end of a connection the kernel returns empty messages for ever: keeps one, and says whether this is the end.
fn cut_at_end(socket: &Socket, received: &mut Vec<Received>) -> bool {
    let seqpacket = socket.kind().socket_type() == SocketType::Seqpacket;
    if !seqpacket || received.last().is_none_or(|last| last.full_length > 0) {
        return false;
    }
    let asked = [(socket.as_fd(), Events::RDHUP)];
    let hung_up = Events::RDHUP | Events::HUP;
    if !sys::socket::poll(&asked).is_ok_and(|ready| ready[0].intersects(hung_up)) {
        return false;
    }
    let full = received.iter().rposition(|message| message.full_length > 0);
    received.truncate(full.map_or(0, |at| at + 1) + 1);
    true
}
