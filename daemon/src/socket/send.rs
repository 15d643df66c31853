//! Sending: what a blocking send(2) does, on a non-blocking descriptor.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::atomic::Ordering,
};

use farsock_proto::{address::Address, message::MessageFlags, socket::Domain};

use super::{Direction, Fault, Patience, Socket, opening::Opening};
use crate::{
    engine::Engine,
    sys::{
        self,
        message::{Framing, Outgoing},
        socket::Events,
    },
};

impl Socket {
    /// Sends `data`, all of it on a blocking stream socket; returns how much the kernel took. Corresponds to send(2) and sendto(2).
    pub(crate) async fn send(
        &self,
        engine: &Engine,
        patience: &Patience,
        data: &[u8],
        flags: MessageFlags,
        address: Option<&Address>,
    ) -> Result<usize, Fault> {
        let flags = sys::message::by_name(flags);
        if !self.may_wait(flags, Direction::Send) {
            let sent = self.now(|fd| {
                self.take_deferred()?;
                Ok(sys::message::send(fd, data, flags, address)?)
            })?;
            self.count_sent(1, sent);
            return Ok(sent);
        }

        let _turn = self
            .turn(engine, &self.sends, patience, Some(Direction::Send))
            .await?;
        self.not_streaming()?;
        self.take_deferred()?;
        let mut sent = 0;
        let outcome = self
            .send_from(engine, patience, data, flags, address, &mut sent)
            .await;
        self.finish_send(sent, outcome)
    }

    /// Sends `messages` in order until all are sent or one fails; returns what the kernel took of each. Corresponds to
    /// sendmmsg(2).
    pub(crate) async fn send_messages(
        &self,
        engine: &Engine,
        patience: &Patience,
        messages: &mut [Outgoing<'_>],
        flags: MessageFlags,
    ) -> Result<Vec<usize>, Fault> {
        let flags = sys::message::by_name(flags);
        if !self.may_wait(flags, Direction::Send) {
            let sent = self.now(|fd| {
                self.take_deferred()?;
                Ok(sys::message::send_messages(fd, messages, flags)?)
            })?;
            self.count_sent(sent.len(), sent.iter().sum());
            return Ok(sent);
        }

        let _turn = self
            .turn(engine, &self.sends, patience, Some(Direction::Send))
            .await?;
        self.not_streaming()?;
        self.take_deferred()?;
        let mut sent: Vec<usize> = Vec::with_capacity(messages.len());
        // Bytes of the message that are sent already: a blocking stream socket sends each one whole.
        let mut begun = 0;
        let mut flags_now = flags;
        let mut patience = patience.clone();
        let mut rest = messages;
        // One by one: of several, sendmmsg(2) tells how many were sent, and not whether the next one failed or only has to wait.
        while let [message, ..] = rest {
            let mut opening = Opening::default();
            let fastopen = flags_now.contains(MessageFlags::FASTOPEN);
            let address = fastopen.then(|| message.address()).flatten();
            let outcome = self
                .attempt(
                    engine,
                    &patience,
                    Some(Direction::Send),
                    Events::OUT,
                    |fd, ready| {
                        // As in `send_from`.
                        if let Some(error) = self.met_asleep(fd, ready)?
                            && begun == 0
                        {
                            return Err(error.into());
                        }
                        if begun > 0 && ready.intersects(Events::ERR | Events::HUP) {
                            return Ok(None);
                        }
                        let send = |opened| {
                            let mut flags = flags_now;
                            if opened {
                                flags = flags.without(MessageFlags::FASTOPEN);
                                message.forget_address();
                            }
                            let one = std::slice::from_ref(&*message);
                            let sent = sys::message::send_messages(fd, one, flags)?;
                            Ok(sent.into_iter().sum())
                        };
                        self.send_opening(fd, &mut opening, fastopen, address.as_ref(), send)
                            .map(Some)
                    },
                )
                .await;
            let outcome = match outcome {
                Err(fault) => opening.cut_short(fault).map(Some),
                other => other,
            };
            let taken = match outcome {
                Ok(Some(taken)) => taken,
                Err(fault) if sent.is_empty() && begun == 0 => {
                    return Err(self.with_pending_error(fault));
                }
                Ok(None) => break,
                // As sendmmsg(2): what was sent counts, and the error of a message that was not even begun is told to nobody.
                Err(fault) => {
                    if begun > 0 {
                        self.defer_fault(&fault);
                    }
                    break;
                }
            };
            if self.framing() == Framing::Message || taken >= message.data().len() {
                sent.push(begun + taken);
                begun = 0;
                flags_now = flags;
                rest = &mut rest[1..];
                patience.next_call();
            } else {
                message.advance(taken);
                flags_now = flags.without(MessageFlags::FASTOPEN);
                begun += taken;
                self.after_a_part(&mut patience);
            }
        }
        if begun > 0 {
            sent.push(begun);
        }
        self.count_sent(sent.len(), sent.iter().sum());
        Ok(sent)
    }

    /// Sends `data` from `*sent` on, counting there, so that an early end loses no count.
    async fn send_from(
        &self,
        engine: &Engine,
        patience: &Patience,
        data: &[u8],
        flags: MessageFlags,
        address: Option<&Address>,
        sent: &mut usize,
    ) -> Result<(), Fault> {
        let mut patience = patience.clone();
        let fastopen = flags.contains(MessageFlags::FASTOPEN);
        // TCP Fast Open: once a send has opened the connection, what follows is an ordinary send on it.
        let mut opened = false;
        loop {
            let begun = *sent;
            let mut opening = Opening::default();
            let outcome = self
                .attempt(
                    engine,
                    &patience,
                    Some(Direction::Send),
                    Events::OUT,
                    |fd, ready| {
                        if let Some(error) = self.met_asleep(fd, ready)?
                            && begun == 0
                        {
                            return Err(error.into());
                        }
                        if begun > 0 && ready.intersects(Events::ERR | Events::HUP) {
                            // A blocking send that has moved bytes leaves a pending error for the next call.
                            return Ok(None);
                        }
                        let send = |open| {
                            let (flags, address) = if open || opened {
                                (flags.without(MessageFlags::FASTOPEN), None)
                            } else {
                                (flags, address)
                            };
                            sys::message::send(fd, &data[begun..], flags, address)
                        };
                        self.send_opening(fd, &mut opening, fastopen && !opened, address, send)
                            .map(Some)
                    },
                )
                .await;
            match outcome {
                Ok(Some(taken)) => *sent += taken,
                Ok(None) => return Ok(()),
                Err(fault) => {
                    *sent += opening.cut_short(fault)?;
                    return Ok(());
                }
            }
            opened |= fastopen;
            if self.framing() == Framing::Message || *sent >= data.len() {
                return Ok(());
            }
            self.after_a_part(&mut patience);
        }
    }

    /// A unix stream takes bytes buffer by buffer, and waits up to SO_SNDTIMEO for each; others count it for the whole send.
    fn after_a_part(&self, patience: &mut Patience) {
        if self.kind().domain() == Domain::Unix {
            patience.next_call();
        }
    }

    /// The error that a send asleep on a unix stream takes from the socket as it wakes: ECONNRESET, when the peer has closed with
    /// bytes unread. One that comes later sees only that the peer is gone, EPIPE.
    pub(crate) fn met_asleep(
        &self,
        fd: BorrowedFd<'_>,
        ready: Events,
    ) -> io::Result<Option<io::Error>> {
        let unix_stream = self.framing() == Framing::Stream && self.kind().domain() == Domain::Unix;
        if unix_stream && ready.contains(Events::ERR) {
            return sys::socket::take_error(fd);
        }
        Ok(None)
    }

    /// The answer of a send that moved `sent` bytes before `outcome`: with bytes moved, an error is the next call's.
    fn finish_send(&self, sent: usize, outcome: Result<(), Fault>) -> Result<usize, Fault> {
        match outcome {
            Err(fault) if sent == 0 => return Err(self.with_pending_error(fault)),
            Err(fault) => self.defer_fault(&fault),
            Ok(()) => {}
        }
        self.count_sent(1, sent);
        Ok(sent)
    }

    /// A send that would be EPIPE ends with the connection's own error instead, if there is one.
    fn with_pending_error(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Kernel(error)
                if error.kind() == io::ErrorKind::BrokenPipe && self.kind().is_tcp() =>
            {
                let pending = sys::socket::take_error(self.as_fd()).ok().flatten();
                Fault::Kernel(pending.unwrap_or(error))
            }
            other => other,
        }
    }

    /// Keeps the kernel's error for the next call; other ends (a time limit, a closed handle) need not be told twice, nor EAGAIN and
    /// EPIPE, which the kernel itself will say again.
    pub(crate) fn defer_fault(&self, fault: &Fault) {
        if let Fault::Kernel(error) = fault
            && !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::BrokenPipe
            )
        {
            self.defer(error);
        }
    }

    /// As [`Self::defer_fault`], for what ends a receive. On MPTCP its EPIPE is a pending error, which the kernel reports once: a reset behind
    /// the end. On TCP it is the daemon's own, of a connection that AF_UNSPEC has dissolved: there the pending error is still the socket's.
    pub(crate) fn defer_received(&self, fault: &Fault) {
        match fault {
            Fault::Kernel(error)
                if error.kind() == io::ErrorKind::BrokenPipe && !self.kind().is_tcp() =>
            {
                self.defer(error);
            }
            fault => self.defer_fault(fault),
        }
    }

    pub(crate) fn count_sent(&self, messages: usize, bytes: usize) {
        self.counters
            .messages_sent
            .fetch_add(messages as u64, Ordering::Relaxed);
        self.counters
            .bytes_sent
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
