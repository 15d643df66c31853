//! What a receive took and could not answer, since its future was dropped: it is the next receive's, as if it were still at the head of the
//! socket's queue.

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Buf as _, BytesMut};
use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    socket::Domain,
};

use super::{Fault, Socket, part::credentials, receive::ReceiveRequest};
use crate::sys::{
    self,
    message::{Framing, Received},
    socket::Events,
};

/// What is kept with a socket: no more than one receive can take, since each is given this before it asks the kernel.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Whether there are messages: all that a receive pays for if there are none.
    any: AtomicBool,
    /// Of a stream, its bytes in as few parts as their control messages allow.
    messages: Mutex<VecDeque<Received>>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a receive that waits for more has taken so far. Dropped with its future, it is kept.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    socket: &'a Socket,
    keeps: bool,
    messages: Vec<Received>,
    /// The data of the last message while parts are put to it.
    data: BytesMut,
}

impl<'a> Taken<'a> {
    /// Nothing yet. With MSG_PEEK nothing is taken.
    pub(super) fn new(socket: &'a Socket, flags: MessageFlags) -> Self {
        Self {
            socket,
            keeps: !flags.contains(MessageFlags::PEEK),
            messages: Vec::new(),
            data: BytesMut::new(),
        }
    }

    pub(super) fn extend(&mut self, messages: impl IntoIterator<Item = Received>) {
        self.seal();
        self.messages.extend(messages);
    }

    pub(super) fn pop(&mut self) -> Option<Received> {
        self.seal();
        self.messages.pop()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn last(&self) -> Option<&Received> {
        self.messages.last()
    }

    /// Puts the next part of a stream to the last.
    pub(super) fn append(&mut self, more: Received) {
        let Some(last) = self.messages.last_mut() else {
            return self.messages.push(more);
        };
        if self.data.is_empty() {
            self.data = BytesMut::from(&last.data[..]);
        }
        self.data.extend_from_slice(&more.data);
        last.full_length += more.full_length;
        last.flags |= more.flags;
        self.socket.put_together(&mut last.control, more.control);
    }

    fn seal(&mut self) {
        if let Some(last) = self.messages.last_mut()
            && !self.data.is_empty()
        {
            last.data = mem::take(&mut self.data).freeze();
        }
    }

    /// It is answered, and not kept.
    pub(super) fn answer(mut self) -> Vec<Received> {
        self.seal();
        mem::take(&mut self.messages)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.keeps && !self.messages.is_empty() {
            self.seal();
            self.socket.keep(mem::take(&mut self.messages));
        }
    }
}

impl Socket {
    /// Whether anything is kept.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept.any.load(Ordering::Relaxed)
    }

    /// Puts `messages` before what is kept.
    fn keep(&self, messages: Vec<Received>) {
        let stream = self.framing() == Framing::Stream;
        let mut kept = self.kept.lock();
        let mut all = Taken::new(self, MessageFlags::PEEK);
        for message in messages.into_iter().chain(kept.drain(..)) {
            // The end shows again; what MSG_TRUNC has discarded does not.
            if message.is_end || stream && message.data.is_empty() {
                continue;
            }
            let goes_on = |last: &Received| {
                let writer = credentials(&last.control);
                !self.ends_with(last)
                    && (writer.is_none() || writer == credentials(&message.control))
            };
            if stream && all.last().is_some_and(goes_on) {
                all.append(message);
            } else {
                all.extend([message]);
            }
        }
        *kept = all.answer().into();
        self.kept.any.store(!kept.is_empty(), Ordering::Relaxed);
        drop(kept);
        // Poll alone can wait now: whoever else receives waits for the turn.
        self.source.announce(Events::IN);
    }

    /// Drops what is kept; the descriptors in it are the caller's to close.
    pub(crate) fn forget_kept(&self) -> Vec<OwnedFd> {
        if !self.has_kept() {
            return Vec::new();
        }
        let mut kept = self.kept.lock();
        self.kept.any.store(false, Ordering::Relaxed);
        let control = kept.drain(..).flat_map(|message| message.control);
        let sockets = control.filter_map(|control| match control {
            ControlMessage::Rights(rights) => Some(rights.sockets),
            _ => None,
        });
        sockets.flatten().collect()
    }

    /// What SIOCINQ would tell, given what the kernel tells of its own queue.
    pub(crate) fn unread(&self, queue: Option<u64>) -> Option<u64> {
        if !self.has_kept() {
            return queue;
        }
        let kept = self.kept.lock();
        match self.framing() {
            Framing::Stream => {
                let bytes: usize = kept.iter().map(|part| part.data.len()).sum();
                Some(queue.unwrap_or(0) + bytes as u64)
            }
            Framing::Message => kept
                .front()
                .map_or(queue, |message| Some(message.data.len() as u64)),
        }
    }

    /// Receives of what is kept, and of a stream what comes after it as well; none if nothing is, or if the receive goes past it.
    pub(super) fn receive_kept(
        &self,
        fd: BorrowedFd<'_>,
        (request, control_length): (ReceiveRequest, usize),
    ) -> io::Result<Option<Received>> {
        let peek = request.flags.contains(MessageFlags::PEEK);
        if !self.has_kept()
            || self.is_beside_the_queue(request.flags)
            || (peek && sys::socket::peeks_onward(fd))
        {
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
                let mut whole = Taken::new(self, MessageFlags::PEEK);
                whole.extend([part]);
                whole.append(more);
                return Ok(whole.pop());
            }
            // The end of the stream shows again in the next call.
            Ok(_) => {}
            Err(error) => self.defer_fault(&Fault::Kernel(error)),
        }
        Ok(Some(part))
    }

    /// Up to `count` messages: of what is kept, and then of the kernel.
    pub(super) fn receive_messages_now(
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
        match self.receive_marked(rest, (request, control_length)) {
            more if given.is_empty() => return more,
            Ok(more) => given.extend(more),
            Err(error) => self.defer_fault(&Fault::Kernel(error)),
        }
        Ok(given)
    }

    /// Takes the first part or message, or looks at it, and says whether nothing that is kept comes after it.
    fn take_kept(
        &self,
        request: ReceiveRequest,
        control_length: usize,
    ) -> Option<(Received, bool)> {
        let ReceiveRequest {
            length,
            flags,
            address,
        } = request;
        let peek = flags.contains(MessageFlags::PEEK);
        let stream = self.framing() == Framing::Stream;
        let mut kept = self.kept.lock();
        let front = kept.front_mut()?;
        let given = length.min(front.data.len());
        let is_whole = !stream || given == front.data.len();
        let copied = (peek || !is_whole).then(|| copy(front, is_whole));
        if !is_whole && !peek {
            front.data.advance(given);
            front.full_length = front.data.len();
        }
        let is_last = is_whole && kept.len() == 1;
        let mut part = match copied {
            Some(copied) => copied,
            None => kept.pop_front()?,
        };
        self.kept.any.store(!kept.is_empty(), Ordering::Relaxed);
        drop(kept);

        if given < part.data.len() && !stream {
            part.flags |= MessageFlags::TRUNC;
        }
        part.data.truncate(given);
        if stream {
            part.full_length = given;
            let internet = matches!(self.kind().domain(), Domain::Inet | Domain::Inet6);
            if flags.contains(MessageFlags::TRUNC) && internet {
                part.data.clear();
            }
        }
        if !address {
            part.address = None;
        }
        if control_length == 0 && !part.control.is_empty() {
            part.control.clear();
            part.flags |= MessageFlags::CTRUNC;
        }
        Some((part, is_last))
    }

    /// Whether a receive with these flags takes from elsewhere than the head of the queue.
    fn is_beside_the_queue(&self, flags: MessageFlags) -> bool {
        flags.contains(MessageFlags::OOB)
            || (flags.contains(MessageFlags::ERRQUEUE) && self.has_error_queue())
    }
}

/// The same once more. Sockets come with the last byte of a stream's part, and what had no room for them is told there.
fn copy(message: &Received, is_whole: bool) -> Received {
    let flags = match is_whole {
        true => message.flags,
        false => message.flags.without(MessageFlags::CTRUNC),
    };
    let control = message.control.iter();
    Received {
        data: message.data.clone(),
        address: message.address.clone(),
        flags,
        full_length: message.full_length,
        is_end: message.is_end,
        control: control
            .filter(|control| is_whole || !matches!(control, ControlMessage::Rights(_)))
            .cloned()
            .collect(),
    }
}
