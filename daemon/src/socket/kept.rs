//! The pushback: what was received, and whose receiver has gone before it had the answer. It is served before the kernel's queue, as if
//! it had never left it. What of it is under way is in [`undo`](super::undo).

mod take;

use std::{
    collections::VecDeque,
    mem,
    ops::{Deref, DerefMut},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags},
    socket::{Domain, SocketType},
};

pub(super) use self::take::Whole;
pub(crate) use self::take::without_sockets;
use super::{Socket, reactor::Source};
use crate::sys::{
    message::{Framing, Received},
    socket::Events,
};

/// What is kept with a socket. It is no more than what was received and neither answered nor acknowledged.
#[derive(Debug)]
pub(crate) struct Kept {
    framing: Framing,
    source: Arc<Source>,
    /// Which queues are not empty, a bit of [`Place`] each: all that a receive pays for if none is.
    filled: AtomicU8,
    /// How much was received so far, in bytes of a stream or in messages: the position of what comes next.
    received: AtomicU64,
    /// The same, of connections.
    accepted: AtomicU64,
    /// How often all was dropped: what was received before that does not come back. Counted under the lock.
    generation: AtomicU64,
    state: Mutex<Queues>,
}

/// The queues; none of them exists before something is put into one, since most sockets never need any.
#[derive(Debug, Default)]
struct Queues(Option<Box<State>>);

/// Invariant: `messages` and `connections` are sorted by position, which is the order in which the kernel gave them.
#[derive(Debug, Default)]
struct State {
    /// Of a stream, bytes in parts.
    messages: VecDeque<Received>,
    urgent: VecDeque<Received>,
    errors: VecDeque<Received>,
    connections: VecDeque<Connection>,
}

/// Where a receive takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    /// The queue of what was sent.
    Queue = 1,
    /// The urgent byte (MSG_OOB).
    Urgent = 2,
    /// The error queue (MSG_ERRQUEUE).
    Errors = 4,
    /// The connections of a listening socket.
    Connections = 8,
}

/// A connection that was accepted and is to be accepted again.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) fd: OwnedFd,
    pub(crate) peer: Option<Address>,
    /// Its position among all that were accepted.
    pub(crate) position: u64,
}

/// What is no longer kept, and is the caller's to close.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// Sockets that came with messages.
    pub(crate) sockets: Vec<OwnedFd>,
    /// Connections, which the kernel resets when their listening socket is closed.
    pub(crate) connections: Vec<OwnedFd>,
}

static EMPTY: State = State {
    messages: VecDeque::new(),
    urgent: VecDeque::new(),
    errors: VecDeque::new(),
    connections: VecDeque::new(),
};

impl Deref for Queues {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Queues {
    fn deref_mut(&mut self) -> &mut State {
        self.0.get_or_insert_default()
    }
}

impl Kept {
    pub(super) fn new(framing: Framing, source: Arc<Source>) -> Self {
        Self {
            framing,
            source,
            filled: AtomicU8::new(0),
            received: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.filled.load(Ordering::Relaxed) & place as u8 != 0
    }

    /// How often all was dropped: what is received from here on may come back until that happens again.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Puts back what was received, each message in its place, unless all has been dropped since.
    pub(crate) fn put_back(&self, place: Place, generation: u64, messages: Vec<Received>) {
        let mut state = self.lock();
        if self.generation() != generation {
            return;
        }
        let queue = match place {
            Place::Urgent => &mut state.urgent,
            Place::Errors => &mut state.errors,
            Place::Queue | Place::Connections => &mut state.messages,
        };
        for message in messages {
            // The end shows again; what MSG_TRUNC has discarded does not.
            let is_nothing =
                message.data.is_empty() && self.framing == Framing::Stream && place == Place::Queue;
            if is_nothing || message.is_end || message.position == Received::NOWHERE {
                continue;
            }
            let at = queue.partition_point(|other| other.position < message.position);
            queue.insert(at, message);
        }
        self.note(&state);
        drop(state);
        self.source.announce(match place {
            Place::Urgent => Events::PRI,
            Place::Errors => Events::ERR,
            Place::Queue | Place::Connections => Events::IN,
        });
    }

    /// The position of a connection that was just accepted.
    pub(crate) fn place_connection(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts back a connection. Returns it if all has been dropped since it was accepted.
    pub(crate) fn put_connection(
        &self,
        generation: u64,
        connection: Connection,
    ) -> Result<(), OwnedFd> {
        let mut state = self.lock();
        if self.generation() != generation {
            return Err(connection.fd);
        }
        let queue = &mut state.connections;
        let at = queue.partition_point(|other| other.position < connection.position);
        queue.insert(at, connection);
        self.note(&state);
        drop(state);
        self.source.announce(Events::IN);
        Ok(())
    }

    /// Takes the connection that was accepted first.
    pub(crate) fn take_connection(&self) -> Option<Connection> {
        if !self.has(Place::Connections) {
            return None;
        }
        let mut state = self.lock();
        let first = state.connections.pop_front();
        self.note(&state);
        first
    }

    /// Whether something is kept that was received before `position`.
    pub(super) fn has_before(&self, position: u64) -> bool {
        self.has(Place::Queue)
            && self
                .lock()
                .messages
                .front()
                .is_some_and(|first| first.position < position)
    }

    fn note(&self, state: &State) {
        let filled = [
            (Place::Queue, state.messages.is_empty()),
            (Place::Urgent, state.urgent.is_empty()),
            (Place::Errors, state.errors.is_empty()),
            (Place::Connections, state.connections.is_empty()),
        ];
        let filled = filled.into_iter().filter(|(_, empty)| !empty);
        let bits = filled.fold(0, |bits, (place, _)| bits | place as u8);
        self.filled.store(bits, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket {
    /// What is kept with it.
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// Whether anything is kept that a receive would take.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept.has(Place::Queue)
    }

    /// What poll(2) would say of what is kept, asked for these events, if it were still in the kernel.
    pub(crate) fn kept_events(&self, asked: Events) -> Events {
        let event = |place, events| match self.kept.has(place) && asked.contains(events) {
            true => events,
            false => Events::EMPTY,
        };
        let error = match self.kept.has(Place::Errors) {
            true => Events::ERR,
            false => Events::EMPTY,
        };
        event(Place::Queue, Events::IN)
            | event(Place::Connections, Events::IN)
            | event(Place::Urgent, Events::PRI)
            | error
    }

    /// Drops what is kept, and what is still to be put back.
    pub(crate) fn forget_kept(&self) -> Forgotten {
        let mut state = self.kept.lock();
        self.kept.generation.fetch_add(1, Ordering::Relaxed);
        let dropped = mem::take(&mut *state)
            .0
            .map_or_else(State::default, |it| *it);
        self.kept.note(&state);
        drop(state);
        let control = dropped.messages.into_iter().flat_map(|it| it.control);
        let sockets = control.filter_map(|control| match control {
            ControlMessage::Rights(rights) => Some(rights.sockets.into_iter().chain(rights.others)),
            _ => None,
        });
        let connections = dropped.connections.into_iter().map(|it| it.fd);
        Forgotten {
            sockets: sockets.flatten().collect(),
            connections: connections.collect(),
        }
    }

    /// What SIOCINQ would tell, given what the kernel tells of its own queue.
    pub(crate) fn unread(&self, queue: Option<u64>) -> Option<u64> {
        if !self.has_kept() {
            return queue;
        }
        let kept = self.kept.lock();
        match self.framing() {
            Framing::Stream => {
                let bytes: usize = kept.messages.iter().map(|part| part.data.len()).sum();
                Some(queue.unwrap_or(0) + bytes as u64)
            }
            Framing::Message => kept
                .messages
                .front()
                .map_or(queue, |message| Some(message.data.len() as u64)),
        }
    }

    /// Where a receive with these flags takes from, and where what it took is put back. Other families than TCP and unix streams refuse
    /// MSG_OOB or ignore it.
    pub(super) fn place(&self, flags: MessageFlags) -> Place {
        let urgent = self.kind().is_tcp()
            || (self.kind().domain() == Domain::Unix
                && self.kind().socket_type() == SocketType::Stream);
        if flags.contains(MessageFlags::ERRQUEUE) && self.has_error_queue() {
            Place::Errors
        } else if flags.contains(MessageFlags::OOB) && urgent {
            Place::Urgent
        } else {
            Place::Queue
        }
    }

    /// Says of what the kernel has just given where it was.
    pub(super) fn place_received(&self, flags: MessageFlags, messages: &mut [Received]) {
        if flags.contains(MessageFlags::PEEK) && self.place(flags) != Place::Errors {
            return;
        }
        for message in messages.iter_mut().filter(|message| !message.is_end) {
            let length = match self.framing() {
                Framing::Stream => message.full_length as u64,
                Framing::Message => 1,
            };
            message.position = self.kept.received.fetch_add(length, Ordering::Relaxed);
        }
    }
}
