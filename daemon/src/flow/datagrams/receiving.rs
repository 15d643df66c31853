//! The direction of datagrams in which the client receives: as many as credit allows, and the count of those that the kernel dropped.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
};

use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    option::OptionValue,
    v1,
};

use super::{DatagramFlow, OVERHEAD};
use crate::{
    error::Call,
    flow::items::{BATCH, Taken},
    operation::{Context as Caller, ReceivedMessage},
    socket::{ReceiveRequest, Socket},
    sys::{self, message::Received, socket::Events},
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
            let control_length = shape.control_length + if self.counts_drops { 0 } else { DROPS };
            socket.receive_messages_now(socket.as_fd(), count, (request, control_length))
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
        // The kernel returns the end again and again: one is enough.
        let end = received.iter().position(|message| message.is_end);
        received.truncate(end.map_or(received.len(), |end| end + 1));
        socket.count_received(&received);
        let items = received
            .into_iter()
            .map(|mut message| {
                self.take_drops(shape, &mut message);
                let cost = message.data.len() as u64 + OVERHEAD;
                let message = ReceivedMessage::new(caller, message);
                (cost, message)
            })
            .collect();
        match end {
            Some(_) => Taken::Last(items),
            None => Taken::Items(items),
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
