//! The direction of datagrams in which the client receives: as many as credit allows, and the count of those that the kernel dropped.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
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
    flow::items::{BATCH, Taken, lock},
    operation::{Context as Caller, ReceivedMessage},
    socket::{ReceiveRequest, Socket},
    sys::{self, message::Received, socket::Events},
};

/// How many bytes one receive has room for.
const RECEIVE: usize = 2 << 20;
/// Room for one control message of an int: the count of dropped datagrams, and the size of those that came together (UDP_GRO).
const INT: usize = 24;
/// Room for what an entry of the error queue says, at least.
const ERROR: usize = 512;

/// How long after something has come the kernel is asked what it has dropped.
const LOOK: Duration = Duration::from_millis(20);

/// What of each datagram is received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// 1-65,536 bytes.
    pub(crate) length: usize,
    /// At most 16,384 bytes.
    pub(crate) control_length: usize,
    /// Whether entries of the error queue come as well.
    pub(crate) errors: bool,
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
            let control_length = shape.control_length
                + if self.counts_drops { 0 } else { INT }
                + if is_udp(socket) { INT } else { 0 };
            socket.receive_messages_now(socket.as_fd(), count, (request, control_length))
        });
        let mut received = match received {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.contains(Events::ERR) {
                    self.look_soon();
                    if shape.errors {
                        let errors = self.errors(caller, shape, socket, count);
                        if !errors.is_empty() {
                            return Taken::Items(errors);
                        }
                    } else if socket.take_errors() {
                        return Taken::Items(Vec::new());
                    }
                }
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
        self.look_soon();
        let left = count - received.len();
        let mut items: Vec<_> = received
            .into_iter()
            .map(|mut message| {
                self.take_drops(shape, &mut message);
                let cost = message.data.len() as u64 + OVERHEAD;
                let message = ReceivedMessage::new(caller, message);
                (cost, message)
            })
            .collect();
        if shape.errors && ready.contains(Events::ERR) && left > 0 {
            items.extend(self.errors(caller, shape, socket, left));
        }
        match end {
            Some(_) => Taken::Last(items),
            None => Taken::Items(items),
        }
    }

    /// Up to `count` entries of the error queue.
    fn errors(
        &self,
        caller: &Caller,
        shape: Shape,
        socket: &Arc<Socket>,
        count: usize,
    ) -> Vec<(u64, ReceivedMessage)> {
        if !socket.has_error_queue() {
            return Vec::new();
        }
        let request = ReceiveRequest {
            length: shape.length,
            flags: MessageFlags::ERRQUEUE,
            address: true,
        };
        // EAGAIN, most often: an error of another kind shows again in the next receive of messages.
        let entries = socket.receive_marked(count, (request, shape.control_length.max(ERROR)));
        let entries = entries.unwrap_or_default().into_iter();
        entries
            .map(|entry| {
                let cost = entry.data.len() as u64 + OVERHEAD;
                (cost, ReceivedMessage::new(caller, entry))
            })
            .collect()
    }

    /// Looks soon how many datagrams the kernel has dropped. It reports that with datagrams that come after, and maybe none does.
    fn look_soon(&self) {
        let mut at = lock(&self.looks_at);
        at.get_or_insert_with(|| Instant::now() + LOOK);
    }

    /// The kernel has dropped so many, as it said with a datagram or to who asked.
    pub(super) fn count_dropped(&self, count: u32) {
        // The count may pass 2^32, and a datagram says what it was before.
        let newer = |last: u32| (count.wrapping_sub(last).cast_signed() > 0).then_some(count);
        let _ = self
            .drops
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, newer);
    }

    /// Takes the count of dropped datagrams out of a message, unless the socket's user has asked for it too.
    fn take_drops(&self, shape: Shape, message: &mut Received) {
        message.control.retain(|control| match control {
            ControlMessage::ReceiveQueueOverflow(count) => {
                self.count_dropped(*count);
                self.counts_drops
            }
            _ => true,
        });
        if shape.control_length == 0 && !message.control.is_empty() {
            // There was room for what is always received alone. Without the size nobody could tell where a datagram ends.
            let before = message.control.len();
            message
                .control
                .retain(|control| matches!(control, ControlMessage::ReceiveSegmentSize(_)));
            if message.control.len() < before {
                message.flags |= MessageFlags::CTRUNC;
            }
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

fn is_udp(socket: &Socket) -> bool {
    let kind = socket.kind();
    kind.is_internet() && kind.socket_type() == SocketType::Dgram
}
