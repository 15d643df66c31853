//! The pushback: what was received, and whose receiver has gone before it had the answer. It is served before the kernel's queue, as if
//! it had never left it. What of it is under way is in [`undo`](super::undo).

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use bytes::{Buf as _, BytesMut};
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags},
    socket::{Domain, SocketType},
};

use super::{Fault, Socket, part::credentials, reactor::Source, receive::ReceiveRequest};
use crate::sys::{
    self,
    message::{Framing, Received, ReceivedRights},
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
    state: Mutex<State>,
}

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

    fn lock(&self) -> MutexGuard<'_, State> {
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
        let dropped = mem::take(&mut *state);
        self.kept.note(&state);
        drop(state);
        let control = dropped.messages.into_iter().flat_map(|it| it.control);
        let sockets = control.filter_map(|control| match control {
            ControlMessage::Rights(rights) => Some(rights.sockets),
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

    /// Receives of what is kept, and of a stream what comes after it as well; none if nothing is, or if the receive goes past it.
    pub(super) fn receive_kept(
        &self,
        fd: BorrowedFd<'_>,
        (request, control_length): (ReceiveRequest, usize),
    ) -> io::Result<Option<Received>> {
        if self.kept.filled.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let peek = request.flags.contains(MessageFlags::PEEK);
        match self.place(request.flags) {
            Place::Queue => {}
            aside => return Ok(self.take_aside(aside, request, control_length)),
        }
        if request.flags.contains(MessageFlags::OOB) || (peek && sys::socket::peeks_onward(fd)) {
            return Ok(None);
        }
        let Some((part, is_last)) = self.take_kept(request, control_length) else {
            return Ok(None);
        };
        let unix = self.kind().domain() == Domain::Unix;
        if self.framing() == Framing::Message
            || !is_last
            || part.full_length >= request.length
            // It sees one part alone.
            || (peek && unix)
            || self.ends_with(&part)
            || sys::socket::at_mark(fd)
        {
            return Ok(Some(part));
        }
        let rest = ReceiveRequest {
            length: request.length - part.full_length,
            ..request
        };
        let asked = (rest, control_length);
        let more = match self.is_of_same_writer(fd, asked, &part) {
            Ok(true) => self.receive_of_kernel(asked),
            Ok(false) => return Ok(Some(part)),
            Err(error) => Err(error),
        };
        match more {
            Ok(more) if more.full_length > 0 => {
                let mut whole = Whole::new(part);
                whole.append(self, more);
                return Ok(Some(whole.finish()));
            }
            // The end of the stream shows again in the next call.
            Ok(_) => {}
            Err(error) => self.defer_fault(&Fault::Kernel(error)),
        }
        Ok(Some(part))
    }

    /// Up to `count` messages: of what is kept, and then of the kernel.
    pub(crate) fn receive_messages_now(
        &self,
        fd: BorrowedFd<'_>,
        count: usize,
        (request, control_length): (ReceiveRequest, usize),
    ) -> io::Result<Vec<Received>> {
        let mut given = Vec::new();
        while given.len() < count
            && let Some(kept) = self.receive_kept(fd, (request, control_length))?
        {
            given.push(kept);
        }
        let rest = count - given.len();
        if rest == 0 && count > 0 {
            return Ok(given);
        }
        let more = self
            .receive_marked(rest, (request, control_length))
            .map(|mut more| {
                self.place_received(request.flags, &mut more);
                more
            });
        match more {
            more if given.is_empty() => return more,
            Ok(more) => given.extend(more),
            Err(error) => self.defer_fault(&Fault::Kernel(error)),
        }
        Ok(given)
    }

    /// Takes what is kept first, or looks at it, and says whether nothing that is kept comes after it. Of a stream it puts together as
    /// much as one receive would have taken of the kernel.
    pub(crate) fn take_kept(
        &self,
        request: ReceiveRequest,
        control_length: usize,
    ) -> Option<(Received, bool)> {
        let stream = self.framing() == Framing::Stream;
        let peek = request.flags.contains(MessageFlags::PEEK);
        let mut kept = self.kept.lock();
        let mut whole = Whole::new(take_one(
            &mut kept.messages,
            0,
            request.length,
            request.flags,
            stream,
        )?);
        let mut seen = usize::from(peek);
        while stream && whole.received.full_length < request.length {
            let Some(next) = kept.messages.get(seen) else {
                break;
            };
            let writer = credentials(&whole.received.control);
            let is_of_same = writer.is_none() || writer == credentials(&next.control);
            if !is_of_same || self.ends_with(&whole.received) {
                break;
            }
            let rest = request.length - whole.received.full_length;
            if let Some(part) = take_one(&mut kept.messages, seen, rest, request.flags, stream) {
                whole.append(self, part);
            }
            seen += usize::from(peek);
        }
        let is_last = kept.messages.len() == seen;
        self.kept.note(&kept);
        drop(kept);

        let mut part = whole.finish();
        let internet = matches!(self.kind().domain(), Domain::Inet | Domain::Inet6);
        if stream && internet && request.flags.contains(MessageFlags::TRUNC) {
            part.data.clear();
        }
        Some((strip(part, request.address, control_length), is_last))
    }

    /// Takes what is kept beside the queue, or looks at it.
    fn take_aside(
        &self,
        place: Place,
        request: ReceiveRequest,
        control_length: usize,
    ) -> Option<Received> {
        let mut kept = self.kept.lock();
        // The error queue takes with MSG_PEEK, too.
        let (queue, flags) = match place {
            Place::Errors => (&mut kept.errors, request.flags.without(MessageFlags::PEEK)),
            _ => (&mut kept.urgent, request.flags),
        };
        let taken = take_one(queue, 0, request.length, flags, false)?;
        self.kept.note(&kept);
        Some(strip(taken, request.address, control_length))
    }
}

/// Takes up to `length` bytes of the message at that place, or looks at them. The rest of a stream's part stays.
fn take_one(
    queue: &mut VecDeque<Received>,
    at: usize,
    length: usize,
    flags: MessageFlags,
    stream: bool,
) -> Option<Received> {
    let message = queue.get_mut(at)?;
    let peek = flags.contains(MessageFlags::PEEK);
    let given = length.min(message.data.len());
    let is_cut = given < message.data.len();
    let is_whole = !stream || !is_cut;
    let mut taken = if peek || !is_whole {
        copy(message, is_whole)
    } else {
        queue.remove(at)?
    };
    if !is_whole && !peek {
        let message = queue.get_mut(at)?;
        message.data.advance(given);
        message.full_length = message.data.len();
        message.position += given as u64;
    }
    if is_cut && !stream {
        taken.flags |= MessageFlags::TRUNC;
    }
    taken.data.truncate(given);
    if stream {
        taken.full_length = given;
    }
    Some(taken)
}

/// Without what was not asked for.
fn strip(mut message: Received, address: bool, control_length: usize) -> Received {
    if !address {
        message.address = None;
    }
    if control_length == 0 && !message.control.is_empty() {
        message.control.clear();
        message.flags |= MessageFlags::CTRUNC;
    }
    message
}

/// The same once more. Sockets come with the last byte of a stream's part, and what had no room for them is told there.
fn copy(message: &Received, is_whole: bool) -> Received {
    let flags = match is_whole {
        true => message.flags,
        false => message.flags.without(MessageFlags::CTRUNC),
    };
    let control = message.control.iter();
    Received {
        control: control
            .filter(|control| is_whole || !matches!(control, ControlMessage::Rights(_)))
            .cloned()
            .collect(),
        flags,
        ..without_sockets(message)
    }
}

/// The same without its sockets, of which there is one of each.
pub(crate) fn without_sockets(message: &Received) -> Received {
    let control = message.control.iter().map(|control| match control {
        ControlMessage::Rights(rights) => ControlMessage::Rights(ReceivedRights {
            sockets: Vec::new(),
            discarded: rights.discarded,
        }),
        other => other.clone(),
    });
    Received {
        data: message.data.clone(),
        address: message.address.clone(),
        flags: message.flags,
        full_length: message.full_length,
        is_end: message.is_end,
        control: control.collect(),
        position: message.position,
    }
}

/// A part of a stream to which more are put.
#[derive(Debug)]
pub(super) struct Whole {
    received: Received,
    /// All of its data, once there is more than one part.
    data: BytesMut,
}

impl Whole {
    pub(super) fn new(received: Received) -> Self {
        Self {
            received,
            data: BytesMut::new(),
        }
    }

    /// All but the data.
    pub(super) fn received(&self) -> &Received {
        &self.received
    }

    /// Puts the next part to it.
    pub(super) fn append(&mut self, socket: &Socket, more: Received) {
        let whole = &mut self.received;
        if self.data.is_empty() {
            self.data = BytesMut::from(&mem::take(&mut whole.data)[..]);
        }
        self.data.extend_from_slice(&more.data);
        whole.full_length += more.full_length;
        whole.flags |= more.flags;
        socket.put_together(&mut whole.control, more.control);
    }

    pub(super) fn finish(mut self) -> Received {
        if !self.data.is_empty() {
            self.received.data = self.data.freeze();
        }
        self.received
    }
}
