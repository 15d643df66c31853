//! Receiving from the pushback: as the kernel would have given it.

use std::{collections::VecDeque, io, mem, os::fd::BorrowedFd, sync::atomic::Ordering};

use bytes::{Buf as _, BytesMut};
use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    socket::Domain,
};

use super::Place;
use crate::{
    socket::{Fault, ReceiveRequest, Socket, part::credentials},
    sys::{
        self,
        message::{Framing, Received, ReceivedRights},
        socket::Onward,
    },
};

impl Socket {
    /// Receives of what is kept, and of a stream what comes after it as well; none if nothing is, or if the receive goes past it.
    pub(in crate::socket) fn receive_kept(
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
            || sys::socket::may_go_on(fd) != Onward::Bytes
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
            Err(error) => self.defer_received(&Fault::Kernel(error)),
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
            Err(error) => self.defer_received(&Fault::Kernel(error)),
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
            others: Vec::new(),
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
pub(in crate::socket) struct Whole {
    received: Received,
    /// All of its data, once there is more than one part.
    data: BytesMut,
}

impl Whole {
    pub(in crate::socket) fn new(received: Received) -> Self {
        Self {
            received,
            data: BytesMut::new(),
        }
    }

    /// All but the data.
    pub(in crate::socket) fn received(&self) -> &Received {
        &self.received
    }

    /// Puts the next part to it.
    pub(in crate::socket) fn append(&mut self, socket: &Socket, more: Received) {
        let whole = &mut self.received;
        if self.data.is_empty() {
            self.data = BytesMut::from(&mem::take(&mut whole.data)[..]);
        }
        self.data.extend_from_slice(&more.data);
        whole.full_length += more.full_length;
        whole.flags |= more.flags;
        socket.put_together(&mut whole.control, more.control);
    }

    pub(in crate::socket) fn finish(mut self) -> Received {
        if !self.data.is_empty() {
            self.received.data = self.data.freeze();
        }
        self.received
    }
}
