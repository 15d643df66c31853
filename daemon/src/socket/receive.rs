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

use super::{
    Direction, Fault, Patience, Socket,
    undo::{Step, Taken},
};
use crate::{
    engine::Engine,
    sys::{
        self,
        message::{Framing, Received},
        socket::{Events, Onward},
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
/// What says that nothing more comes.
const ENDS: Events = Events::RDHUP.and(Events::HUP).and(Events::ERR);

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
    ) -> Result<Taken<'_>, Fault> {
        let mut taken = Taken::new(self, patience, request.by_name().flags);
        let request = ReceiveRequest {
            // Whoever receives it if it is given back may ask for it.
            address: request.address || self.framing() == Framing::Message && taken.is_watched(),
            ..request.by_name()
        };
        if self.may_wait_to_receive(request.flags) {
            let turn = self
                .turn(engine, &self.receives, patience, Some(Direction::Receive))
                .await;
            match turn {
                Err(over) if over.is_timeout() => {
                    self.last_look(request.flags, over, |fd| {
                        taken.take(|| Ok([self.receive_now(fd, request)?]))
                    })?;
                    return Ok(taken);
                }
                turn => taken.hold_turn(turn?),
            }
            self.not_streaming()?;
            self.take_deferred()?;
            let came = self
                .first(engine, patience, request.length, |fd| {
                    taken.take(|| Ok([self.receive_now(fd, request)?]))?;
                    Ok(Came::Something)
                })
                .await?;
            match came {
                Came::Something => self.fill(engine, patience, (request, 0), &taken).await,
                Came::Nothing { is_end } => taken.end(is_end)?,
            }
        } else {
            self.receives_now(request.flags, |fd| {
                taken.take(|| Ok([self.receive_now(fd, request)?]))
            })?;
        }
        Ok(taken)
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
    ) -> Result<Taken<'_>, Fault> {
        let request = request.by_name();
        let ReceiveRequest { length, flags, .. } = request;
        let framing = self.framing();
        let asked = (request, control_length);
        let mut taken = Taken::new(self, patience, flags);
        let take = |fd: BorrowedFd<'_>, taken: &Taken<'_>, count| {
            taken.take(|| Ok(self.receive_messages_now(fd, count, asked)?))
        };
        let mut patience = patience.clone();
        if self.may_wait_to_receive(flags) {
            let turn = self
                .turn(engine, &self.receives, &patience, Some(Direction::Receive))
                .await;
            match turn {
                Err(over) if over.is_timeout() => {
                    self.last_look(flags, over, |fd| take(fd, &taken, count))?;
                    return Ok(taken);
                }
                turn => taken.hold_turn(turn?),
            }
            self.not_streaming()?;
            self.take_deferred()?;
            while taken.len() < count {
                let rest = count - taken.len();
                // A stream's message is whole only when `fill` has seen it.
                let rest = if framing == Framing::Stream { 1 } else { rest };
                let outcome = self
                    .first(engine, &patience, length, |fd| {
                        take(fd, &taken, rest)?;
                        Ok(Came::Something)
                    })
                    .await;
                let outcome = match outcome {
                    Ok(Came::Something) => Ok(()),
                    Ok(Came::Nothing { is_end }) => taken.end(is_end),
                    Err(fault) => Err(fault),
                };
                match outcome {
                    Ok(()) => {}
                    Err(fault) if taken.len() == 0 => return Err(fault),
                    Err(fault) => {
                        self.defer_received(&fault);
                        break;
                    }
                }
                if framing == Framing::Stream {
                    self.fill(engine, &patience, asked, &taken).await;
                }
                if flags.contains(MessageFlags::WAITFORONE) {
                    if framing == Framing::Stream && taken.len() < count {
                        // Of messages, `take` has taken all that were there.
                        let rest = count - taken.len();
                        // The socket's end among them: what was received counts.
                        if let Err(fault) = self.fd_now().and_then(|fd| take(fd, &taken, rest)) {
                            self.defer_received(&fault);
                        }
                    }
                    break;
                }
                patience.next_call();
            }
        } else {
            self.receives_now(flags, |fd| take(fd, &taken, count))?;
        }
        Ok(taken)
    }

    /// The answer of a receive whose time was over before its turn came: what is there, which was too little to end the wait of the one
    /// before it, or `over`.
    fn last_look<T>(
        &self,
        flags: MessageFlags,
        over: Fault,
        take: impl FnOnce(BorrowedFd<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.receives_now(flags, take) {
            Err(fault) if fault.would_block() => Err(over),
            looked => looked,
        }
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
        let disconnects = self.disconnects.load(Ordering::Relaxed);
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
            // A receive asleep on MPTCP takes AF_UNSPEC for the end; one that comes later is ENOTCONN.
            Err(Fault::Kernel(error))
                if error.kind() == io::ErrorKind::NotConnected
                    && self.kind().is_mptcp()
                    && self.disconnects.load(Ordering::Relaxed) != disconnects =>
            {
                Ok(T::end(true))
            }
            other => other,
        }
    }

    /// Goes on after the first bytes of a stream until what a blocking receive waits for is there: all of `length` with
    /// MSG_WAITALL, else SO_RCVLOWAT. Whatever ends it, what was received is the answer; dropped, it keeps that for the next receive.
    async fn fill(
        &self,
        engine: &Engine,
        patience: &Patience,
        asked: (ReceiveRequest, usize),
        taken: &Taken<'_>,
    ) {
        let (request, control_length) = asked;
        let ReceiveRequest { length, flags, .. } = request;
        let enough = if flags.contains(MessageFlags::WAITALL) {
            length
        } else {
            length.min(self.low_water())
        };
        let has_enough = |whole: &Received| {
            whole.full_length == 0 || whole.full_length >= enough || self.ends_with(whole)
        };
        if self.framing() == Framing::Message {
            return;
        }
        let first = taken.go_on(asked, |whole| {
            Ok(match has_enough(whole.received()) {
                true => Step::Enough,
                false => Step::More,
            })
        });
        if !matches!(first, Ok(Step::More)) {
            return;
        }
        if flags.contains(MessageFlags::PEEK) {
            if self.kind().domain() == Domain::Unix {
                // A unix socket's peek waits for the first bytes alone.
                return;
            }
            if !sys::socket::peeks_onward(self.as_fd()) {
                return self
                    .peek_until(engine, patience, asked, taken, enough)
                    .await;
            }
            // With SO_PEEK_OFF each peek begins where the last one ended.
        }

        loop {
            let outcome = self
                .attempt(
                    engine,
                    patience,
                    Some(Direction::Receive),
                    ARRIVAL,
                    |fd, ready| {
                        taken.go_on(asked, |whole| {
                            let received = whole.received();
                            // A blocking receive that has bytes leaves a pending error for the next call, and stops before an urgent
                            // byte.
                            if has_enough(received) || self.has_error(fd, ready)? {
                                return Ok(Step::Enough);
                            }
                            match sys::socket::may_go_on(fd) {
                                Onward::AtMark => return Ok(Step::Enough),
                                Onward::Empty if !self.has_kept() && !ready.intersects(ENDS) => {
                                    return Err(Fault::Kernel(sys::errno::again()));
                                }
                                Onward::Empty | Onward::Bytes => {}
                            }
                            let rest = ReceiveRequest {
                                length: length - received.full_length,
                                ..request
                            };
                            if !self.is_of_same_writer(fd, (rest, control_length), received)? {
                                return Ok(Step::Enough);
                            }
                            let more = self.receive_part(fd, (rest, control_length))?;
                            if more.full_length == 0 {
                                // The end of the stream shows again in the next call.
                                return Ok(Step::Enough);
                            }
                            let ends = self.ends_with(&more);
                            whole.append(self, more);
                            Ok(match ends || has_enough(whole.received()) {
                                true => Step::Enough,
                                false => Step::More,
                            })
                        })
                    },
                )
                .await;
            match outcome {
                Ok(Step::More) => {}
                Ok(Step::Enough) => break,
                // The end of an MPTCP connection by AF_UNSPEC shows again in the next call.
                Err(Fault::Kernel(error)) if error.kind() == io::ErrorKind::NotConnected => break,
                Err(fault) => {
                    self.defer_received(&fault);
                    break;
                }
            }
        }
    }

    /// MSG_PEEK together with MSG_WAITALL: bytes that were peeked at stay readable, and are looked at again at each event.
    async fn peek_until(
        &self,
        engine: &Engine,
        patience: &Patience,
        asked: (ReceiveRequest, usize),
        taken: &Taken<'_>,
        enough: usize,
    ) {
        let outcome = self
            .attempt(
                engine,
                patience,
                Some(Direction::Receive),
                ARRIVAL,
                |fd, ready| {
                    let peeked = self.receive_part(fd, asked)?;
                    let grown = peeked.full_length;
                    taken.replace_last(peeked);
                    let over = ready.intersects(Events::RDHUP | Events::HUP)
                        || self.has_error(fd, ready)?;
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
    }

    /// Whether an error is pending, and not only an entry of the error queue, which is ERR as well. It is kept for the next call.
    fn has_error(&self, fd: BorrowedFd<'_>, ready: Events) -> io::Result<bool> {
        if !ready.contains(Events::ERR) {
            return Ok(false);
        }
        let error = sys::socket::take_error(fd)?;
        if let Some(error) = &error {
            self.defer(error);
        }
        Ok(error.is_some())
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

    /// Counts no longer what was given back.
    pub(crate) fn uncount_received(&self, messages: &[Received]) {
        let bytes: usize = messages.iter().map(|message| message.data.len()).sum();
        self.counters
            .messages_received
            .fetch_sub(messages.len() as u64, Ordering::Relaxed);
        self.counters
            .bytes_received
            .fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Whether a receive with these flags waits: never for the error queue or TCP's urgent byte, where the kernel does not wait either.
    /// Families without an error queue ignore that flag, and others than TCP refuse MSG_OOB, answer at once, or ignore it too.
    fn may_wait_to_receive(&self, flags: MessageFlags) -> bool {
        let at_once = (flags.contains(MessageFlags::OOB) && self.kind().is_tcp())
            || (flags.contains(MessageFlags::ERRQUEUE) && self.has_error_queue());
        self.may_wait(flags, Direction::Receive) && !at_once
    }

    /// Whether MSG_ERRQUEUE has a meaning here.
    pub(crate) fn has_error_queue(&self) -> bool {
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
            position: Self::NOWHERE,
        }
    }
}

/// Whether something was received, and not what a receive ends with instead.
enum Came {
    Something,
    Nothing { is_end: bool },
}

impl Empty for Came {
    fn end(is_end: bool) -> Self {
        Self::Nothing { is_end }
    }
}
