//! Receiving: what a blocking recv(2) does, on a non-blocking descriptor.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::atomic::Ordering,
};

use bytes::Bytes;
use farsock_proto::{
    message::MessageFlags,
    socket::{Domain, SocketType},
};

use super::{Direction, Fault, Patience, Socket, kept::Taken};
use crate::{
    engine::Engine,
    sys::{
        self,
        message::{Framing, Received},
        socket::Events,
    },
};

/// What to receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveRequest {
    /// How many bytes at most.
    pub(crate) length: usize,
    /// How to.
    pub(crate) flags: MessageFlags,
    /// Whether the sender's address is wanted.
    pub(crate) address: bool,
}

/// What a receive waits for. RDHUP has to be asked for: without it a side that was shut down looks like bytes that do not come. PRI,
/// since a receive asleep in the kernel wakes for an urgent byte, and steps over it.
pub(super) const ARRIVAL: Events = Events::IN.and(Events::RDHUP).and(Events::PRI);

impl ReceiveRequest {
    fn by_name(self) -> Self {
        Self {
            flags: sys::message::by_name(self.flags),
            ..self
        }
    }
}

impl Socket {
    /// Receives up to `length` bytes or one message. Corresponds to recv(2) and recvfrom(2).
    pub(crate) async fn receive(
        &self,
        engine: &Engine,
        patience: &Patience,
        request: ReceiveRequest,
    ) -> Result<Received, Fault> {
        let request = request.by_name();
        let received = if self.may_wait_to_receive(request.flags) {
            let _turn = self
                .turn(engine, &self.receives, patience, Some(Direction::Receive))
                .await?;
            self.not_streaming()?;
            self.take_deferred()?;
            let first = self
                .first(engine, patience, request.length, |fd| {
                    Ok(self.receive_now(fd, request)?)
                })
                .await?;
            self.fill(engine, patience, (request, 0), first).await
        } else {
            self.receives_now(request.flags, |fd| Ok(self.receive_now(fd, request)?))?
        };
        self.count_unless_peeked(request.flags, std::slice::from_ref(&received));
        Ok(received)
    }

    /// Receives up to `count` messages of up to `request.length` bytes, with their control messages. Corresponds to
    /// recvmmsg(2).
    pub(crate) async fn receive_messages(
        &self,
        engine: &Engine,
        patience: &Patience,
        request: ReceiveRequest,
        count: usize,
        control_length: usize,
    ) -> Result<Vec<Received>, Fault> {
        let request = request.by_name();
        let ReceiveRequest { length, flags, .. } = request;
        let framing = self.framing();
        let take = |fd: BorrowedFd<'_>, count| {
            self.receive_messages_now(fd, count, (request, control_length))
        };
        let mut patience = patience.clone();
        let messages = if self.may_wait_to_receive(flags) {
            let _turn = self
                .turn(engine, &self.receives, &patience, Some(Direction::Receive))
                .await?;
            self.not_streaming()?;
            self.take_deferred()?;
            let mut messages = Taken::new(self, flags);
            while messages.len() < count {
                let rest = count - messages.len();
                // A stream's message is whole only when `fill` has seen it.
                let rest = if framing == Framing::Stream { 1 } else { rest };
                let taken = |fd: BorrowedFd<'_>| Ok(Burst(take(fd, rest)?));
                let outcome = self.first(engine, &patience, length, taken).await;
                match outcome {
                    Ok(more) => messages.extend(more.0),
                    Err(fault) if messages.len() == 0 => return Err(fault),
                    Err(fault) => {
                        self.defer_fault(&fault);
                        break;
                    }
                }
                if framing == Framing::Stream
                    && let Some(last) = messages.pop()
                {
                    let asked = (request, control_length);
                    messages.extend([self.fill(engine, &patience, asked, last).await]);
                }
                if flags.contains(MessageFlags::WAITFORONE) {
                    if framing == Framing::Stream && messages.len() < count {
                        // Of messages, `take` has taken all that were there.
                        let rest = count - messages.len();
                        match self.fd_now().and_then(|fd| Ok(take(fd, rest)?)) {
                            Ok(more) => messages.extend(more),
                            // The socket's end among them: what was received counts.
                            Err(fault) => self.defer_fault(&fault),
                        }
                    }
                    break;
                }
                patience.next_call();
            }
            messages.answer()
        } else {
            self.receives_now(flags, |fd| Ok(take(fd, count)?))?
        };
        self.count_unless_peeked(flags, &messages);
        Ok(messages)
    }

    /// Waits until `take` takes something of the first to come, or what a blocking receive ends with instead.
    async fn first<T: Empty>(
        &self,
        engine: &Engine,
        patience: &Patience,
        length: usize,
        mut take: impl FnMut(BorrowedFd<'_>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        // TCP waits once for something to come, and then looks whether there is any room: with none the answer is 0, whatever ended the
        // wait, SO_RCVTIMEO too. An error stays for the next call.
        let roomless = length == 0 && self.kind().is_tcp();
        let outcome = self
            .attempt(
                engine,
                patience,
                Some(Direction::Receive),
                ARRIVAL,
                |fd, ready| match roomless && ready != Events::EMPTY {
                    true => Ok(T::end(false)),
                    false => self.or_end_of_messages(ready, take(fd)),
                },
            )
            .await;
        match outcome {
            Err(fault) if roomless && fault.would_block() => Ok(T::end(false)),
            other => other,
        }
    }

    /// Goes on after the first bytes of a stream until what a blocking receive waits for is there: all of `length` with
    /// MSG_WAITALL, else SO_RCVLOWAT. Whatever ends it, what was received is the answer; dropped, it keeps that for the next receive.
    async fn fill(
        &self,
        engine: &Engine,
        patience: &Patience,
        (request, control_length): (ReceiveRequest, usize),
        first: Received,
    ) -> Received {
        let ReceiveRequest { length, flags, .. } = request;
        let enough = if flags.contains(MessageFlags::WAITALL) {
            length
        } else {
            length.min(self.low_water.load(Ordering::Relaxed))
        };
        if self.framing() == Framing::Message
            || first.full_length == 0
            || first.full_length >= enough
            || self.ends_with(&first)
        {
            return first;
        }
        if flags.contains(MessageFlags::PEEK) {
            if self.kind().domain() == Domain::Unix {
                // A unix socket's peek waits for the first bytes alone.
                return first;
            }
            if !sys::socket::peeks_onward(self.as_fd()) {
                let asked = (request, control_length);
                return self
                    .peek_until(engine, patience, asked, first, enough)
                    .await;
            }
            // With SO_PEEK_OFF each peek begins where the last one ended.
        }

        let mut taken = Taken::new(self, flags);
        taken.extend([first]);
        while let Some(whole) = taken.last()
            && whole.full_length < enough
        {
            let rest = ReceiveRequest {
                length: length - whole.full_length,
                ..request
            };
            let outcome = self
                .attempt(
                    engine,
                    patience,
                    Some(Direction::Receive),
                    ARRIVAL,
                    |fd, ready| {
                        // A blocking receive that has bytes leaves a pending error for the next call, and stops before an urgent
                        // byte.
                        if ready.contains(Events::ERR) || sys::socket::at_mark(fd) {
                            return Ok(None);
                        }
                        if !self.is_of_same_writer(fd, (rest, control_length), whole)? {
                            return Ok(None);
                        }
                        Ok(Some(self.receive_part(fd, (rest, control_length))?))
                    },
                )
                .await;
            match outcome {
                Ok(Some(more)) if more.full_length > 0 => {
                    let ends = self.ends_with(&more);
                    taken.append(more);
                    if ends {
                        break;
                    }
                }
                // The end of the stream shows again in the next call.
                Ok(_) => break,
                Err(fault) => {
                    self.defer_fault(&fault);
                    break;
                }
            }
        }
        taken.pop().unwrap_or_else(|| Received::end(false))
    }

    /// MSG_PEEK together with MSG_WAITALL: bytes that were peeked at stay readable, so there is no event for "more" but time.
    async fn peek_until(
        &self,
        engine: &Engine,
        patience: &Patience,
        asked: (ReceiveRequest, usize),
        first: Received,
        enough: usize,
    ) -> Received {
        let mut latest = first;
        let outcome = self
            .attempt(
                engine,
                patience,
                Some(Direction::Receive),
                ARRIVAL,
                |fd, ready| {
                    let peeked = self.receive_part(fd, asked)?;
                    let grown = peeked.full_length;
                    latest = peeked;
                    let over = ready.intersects(Events::RDHUP | Events::ERR | Events::HUP);
                    // An urgent byte is all that keeps a peek from what is behind it, unless the peek began with it.
                    let at_mark = ready.contains(Events::PRI) && !sys::socket::at_mark(fd);
                    if grown >= enough || over || at_mark {
                        return Ok(());
                    }
                    Err(Fault::Kernel(sys::errno::again()))
                },
            )
            .await;
        // Whatever ended it, what was seen is the answer, and nothing was taken.
        drop(outcome);
        latest
    }

    pub(super) fn receive_now(
        &self,
        fd: BorrowedFd<'_>,
        request: ReceiveRequest,
    ) -> io::Result<Received> {
        self.receive_part(fd, (request, 0))
    }

    /// A blocking receive on a message socket whose reading side was shut down returns 0; a non-blocking one says EAGAIN for ever.
    fn or_end_of_messages<T: Empty>(
        &self,
        ready: Events,
        outcome: Result<T, Fault>,
    ) -> Result<T, Fault> {
        match outcome {
            Err(fault)
                if fault.would_block()
                    && self.framing() == Framing::Message
                    && ready.contains(Events::RDHUP) =>
            {
                // Of no connection 0 is no end.
                Ok(T::end(self.kind().socket_type() == SocketType::Seqpacket))
            }
            other => other,
        }
    }

    fn count_unless_peeked(&self, flags: MessageFlags, messages: &[Received]) {
        if !flags.contains(MessageFlags::PEEK) {
            self.count_received(messages);
        }
    }

    /// Counts what was taken from the socket.
    pub(crate) fn count_received(&self, messages: &[Received]) {
        let bytes: usize = messages.iter().map(|message| message.data.len()).sum();
        self.counters
            .messages_received
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.counters
            .bytes_received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether a receive with these flags waits: never for the error queue or TCP's urgent byte, where the kernel does not wait either.
    /// Families without an error queue ignore that flag, and others than TCP refuse MSG_OOB, answer at once, or ignore it too.
    fn may_wait_to_receive(&self, flags: MessageFlags) -> bool {
        let at_once = (flags.contains(MessageFlags::OOB) && self.kind().is_tcp())
            || (flags.contains(MessageFlags::ERRQUEUE) && self.has_error_queue());
        self.may_wait(flags, Direction::Receive) && !at_once
    }

    /// Whether MSG_ERRQUEUE has a meaning here.
    pub(super) fn has_error_queue(&self) -> bool {
        !matches!(self.kind().domain(), Domain::Unix | Domain::Netlink)
    }
}

/// What a receive returns when there is nothing more to come.
pub(super) trait Empty {
    /// Nothing; `is_end` if it is the end of a connection.
    fn end(is_end: bool) -> Self;
}

impl Empty for Received {
    fn end(is_end: bool) -> Self {
        Self {
            is_end,
            data: Bytes::new(),
            address: None,
            flags: MessageFlags::NONE,
            full_length: 0,
            control: Vec::new(),
        }
    }
}

/// The messages of one recvmmsg(2).
struct Burst(Vec<Received>);

impl Empty for Burst {
    fn end(is_end: bool) -> Self {
        Self(vec![Received::end(is_end)])
    }
}
