//! The direction of datagrams in which the client sends: they go to the socket at once, or are queued.
//!
//! Tasks: the pump, spawned by [`super`], as for bytes; see [`sending`](crate::flow::sending).

use std::{collections::VecDeque, io, ops::Range, os::fd::AsFd as _, sync::Arc};

use farsock_proto::{
    Violation,
    message::{ControlMessage, MessageFlags},
};

use super::OVERHEAD;
use crate::{
    error::{Call, Error},
    flow::{
        Side, WINDOW,
        items::{BATCH, Failures},
        ledger::{Intake, Item},
        seat::{Line, holds},
    },
    operation::{self, Context as Caller, OutgoingMessage},
    socket::Socket,
    sys::{self, message::Outgoing},
};

/// The most bytes of control messages that wait for the socket, which cost no credit. It is what may wait at all ([`WINDOW`]), so that no
/// datagram meets it whose client sends no more bytes of control messages than cost.
const MOST_CONTROL: usize = 1 << 20;

/// The state of the direction.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) line: Option<Arc<Line>>,
    pub(super) intake: Intake<Queued>,
    /// How many bytes of control messages are queued, in the kernel's layout. At most [`MOST_CONTROL`].
    control: usize,
    pub(super) failures: Failures,
    /// Whether the client shall hear what was taken.
    pub(super) say: bool,
    pub(super) pumping: bool,
    /// What was sent, and what could not be.
    moved: Side,
}

/// A datagram of the client's, as it arrives.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// How long its payload is, whatever else is wrong with it.
    pub(crate) length: usize,
    /// What is to be sent, or why it cannot be: the violation's field is relative to the message.
    pub(crate) message: Result<OutgoingMessage, Violation>,
}

/// A datagram that the socket has not taken.
#[derive(Clone)]
pub(super) struct Queued {
    cost: u64,
    /// How many bytes of control messages it has, in the kernel's layout.
    control: usize,
    message: Arc<Message>,
}

enum Message {
    /// In the kernel's form.
    Ready(Outgoing<'static>),
    /// With sockets that travel with it: they are looked up when it is sent, so that nothing here keeps them open.
    WithRights(OutgoingMessage),
    /// Nothing to send: it fails when its turn comes, so that failures are told in the order of their datagrams.
    Invalid(Violation),
    /// The same: its control messages were too much beside those of others.
    NoRoom,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl Item for Queued {
    fn cost(&self) -> u64 {
        self.cost
    }

    fn part(&self, range: Range<u64>) -> Option<Self> {
        (range == (0..self.cost)).then(|| self.clone())
    }
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            line: None,
            intake: Intake::new(WINDOW),
            control: 0,
            failures: Failures::default(),
            say: false,
            pumping: false,
            moved: Side::default(),
        }
    }
}

impl Sending {
    pub(super) fn is_held(&self, line: &Arc<Line>) -> bool {
        holds(self.line.as_ref(), line)
    }

    /// What it has moved.
    pub(super) fn side(&self) -> Side {
        Side {
            left: self.intake.received() - self.intake.taken(),
            ..self.moved
        }
    }

    /// Whether there is room for the control messages of one more.
    pub(super) fn has_room(&self, queued: &Queued) -> bool {
        self.control + queued.control <= MOST_CONTROL
    }

    /// Queues one that has arrived; without room for its control messages it fails when its turn comes.
    pub(super) fn queue(&mut self, mut queued: Queued) {
        if !self.has_room(&queued) {
            queued.control = 0;
            queued.message = Arc::new(Message::NoRoom);
        }
        self.control += queued.control;
        self.intake.queue_as_is(queued);
    }

    /// Sends what the socket takes of the queue; whether it is to be tried again when it takes more.
    pub(super) fn write(&mut self, caller: &Caller, socket: &Socket) -> bool {
        let mut waits = false;
        while !self.failures.is_full()
            && let Some(first) = self.intake.queued().front()
        {
            let sent = match &*first.message {
                Message::Invalid(violation) => Err(violation.clone().into()),
                Message::NoRoom => Err(Error::QuotaExceeded {
                    limit: MOST_CONTROL,
                    what: "bytes of control messages that wait on a stream",
                }),
                Message::WithRights(message) => send_with_rights(caller, socket, message),
                Message::Ready(_) => send_ready(socket, self.intake.queued()),
            };
            match sent {
                Ok(lengths) => {
                    let bytes = lengths.iter().sum();
                    socket.count_sent(lengths.len(), bytes);
                    self.moved.items += lengths.len() as u64;
                    self.moved.bytes += bytes as u64;
                    for _ in lengths {
                        self.took_first();
                    }
                }
                Err(Error::Kernel { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => {
                    waits = true;
                    break;
                }
                Err(error) => {
                    self.took_first();
                    self.moved.failed += 1;
                    self.failures.push(self.intake.taken(), error);
                }
            }
        }
        if let Some(line) = &self.line {
            if self.failures.is_untold() {
                line.tell();
            }
            if !self.say && self.intake.is_due() {
                self.say = true;
                line.tell();
            }
        }
        waits
    }

    /// Says what the client has not heard, though it is little.
    pub(super) fn tell_if_untold(&mut self) {
        if let Some(line) = &self.line
            && self.intake.is_untold()
        {
            self.say = true;
            line.tell();
        }
    }

    fn took_first(&mut self) {
        if let Some(first) = self.intake.queued().front() {
            let (cost, control) = (first.cost, first.control);
            self.control -= control;
            self.intake.took_queued(cost);
        }
    }
}

/// Sends the first of the queue, as many as go at once.
fn send_ready(socket: &Socket, queue: &VecDeque<Queued>) -> Result<Vec<usize>, Error> {
    let batch: Vec<Outgoing<'_>> = queue
        .iter()
        .take(BATCH)
        .map_while(|queued| match &*queued.message {
            Message::Ready(message) => Some(message.clone()),
            Message::WithRights(_) | Message::Invalid(_) | Message::NoRoom => None,
        })
        .collect();
    send(socket, &batch)
}

/// Sends one with the sockets that travel with it.
fn send_with_rights(
    caller: &Caller,
    socket: &Socket,
    message: &OutgoingMessage,
) -> Result<Vec<usize>, Error> {
    let sockets = operation::travellers(caller, &message.control)?;
    let message = operation::prepare(message.clone(), &sockets)?;
    send(socket, &[message])
}

/// Sends what goes at once. An error is the first one's, and says where it was to go.
fn send(socket: &Socket, messages: &[Outgoing<'_>]) -> Result<Vec<usize>, Error> {
    let sent = socket
        .take_deferred()
        .and_then(|()| sys::message::send_messages(socket.as_fd(), messages, MessageFlags::NONE));
    sent.map_err(|error| {
        let call = Call::on("sendmmsg", socket.handle());
        let call = match messages.first() {
            // That the socket is full is no failure, and need not be told well.
            Some(first) if error.kind() != io::ErrorKind::WouldBlock => {
                let length = first.data().len();
                match first.address() {
                    Some(address) => call.with(format_args!("{length} bytes to {address}")),
                    None => call.with(format_args!("{length} bytes")),
                }
            }
            _ => call,
        };
        call.failed(error)
    })
}

/// A datagram of the client's, as it waits for the socket.
pub(super) fn queued(datagram: Datagram) -> Queued {
    let (control, message) = datagram
        .message
        .and_then(ready)
        .unwrap_or_else(|violation| (0, Message::Invalid(violation)));
    Queued {
        cost: datagram.length as u64 + OVERHEAD,
        control,
        message: Arc::new(message),
    }
}

/// What is to be sent, and how many bytes of control messages it has.
fn ready(message: OutgoingMessage) -> Result<(usize, Message), Violation> {
    let rights = |control: &ControlMessage| matches!(control, ControlMessage::Rights(_));
    if message.control.iter().any(rights) {
        let control = sys::message::encoded_length(&message.control)?;
        return Ok((control, Message::WithRights(message)));
    }
    let message = operation::prepare(message, &[] as &[Arc<Socket>])?;
    Ok((message.control_length(), Message::Ready(message)))
}
