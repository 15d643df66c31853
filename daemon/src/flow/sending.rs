//! The direction of a stream of bytes in which the client sends: what arrived is written to the socket at once, or queued.
//!
//! Tasks: the pump, spawned by [`bytes`](super::bytes), writes what is queued when the socket takes more, and exists while something
//! is. It goes on when the connection breaks, and ends with the queue or with the socket.

use std::{io, os::fd::AsFd as _, sync::Arc};

use bytes::Bytes;
use farsock_proto::{Violation, socket::ShutdownHow};

use super::{
    Credit, Ending, Side, WINDOW,
    buffer::apart,
    bytes::Next,
    ledger::{Intake, Item},
    seat::{Line, holds},
};
use crate::{
    error::{Call, Error},
    socket::Socket,
    sys::{self, socket::Events},
};

/// What is smaller is copied into the queue: a piece of a frame would keep the whole buffer that it was read into.
const SMALL: usize = 8 << 10;

/// The state of the direction.
#[derive(Debug)]
pub(super) struct Sending {
    line: Option<Arc<Line>>,
    intake: Intake<Bytes>,
    /// Where the client has ended it.
    finish: Option<u64>,
    ended: Option<Arc<Ending>>,
    told: bool,
    /// Whether the client shall hear what was taken.
    say: bool,
    pumping: bool,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            line: None,
            intake: Intake::new(WINDOW),
            finish: None,
            ended: None,
            told: false,
            say: false,
            pumping: false,
        }
    }
}

impl Sending {
    /// An opening takes it over.
    pub(super) fn open(&mut self, line: &Arc<Line>) -> Credit {
        self.line = Some(Arc::clone(line));
        self.told = false;
        // The opening's answer does not say what was taken, and a credit that did may be lost.
        self.say = self.intake.taken() > 0 && self.ended.is_none();
        if self.say || self.ended.is_some() {
            line.tell();
        }
        self.intake.tell()
    }

    pub(super) fn is_held(&self, line: &Arc<Line>) -> bool {
        holds(self.line.as_ref(), line)
    }

    pub(super) fn leave(&mut self, line: &Arc<Line>) {
        if self.is_held(line) {
            self.line = None;
        }
    }

    /// Whether the socket has taken all.
    pub(super) fn is_empty(&self) -> bool {
        self.intake.queued().is_empty()
    }

    /// What it has moved: after an error what still came is dropped.
    pub(super) fn side(&self) -> Side {
        let taken = self.intake.taken();
        Side {
            bytes: self.ended.as_ref().map_or(taken, |end| end.offset),
            left: self.intake.received() - taken,
            ended: self.ended.as_ref().map(|end| end.half()),
            ..Side::default()
        }
    }

    /// Takes `data`, which is left empty.
    pub(super) fn arrive(&mut self, socket: &Socket, data: &mut Vec<Bytes>) -> Result<(), Error> {
        let cost: u64 = data.iter().map(Item::cost).sum();
        if cost == 0 {
            data.clear();
            return Ok(());
        }
        if self.finish.is_some() {
            return Err(Error::Invalid(Violation::new("data", "comes after finish")));
        }
        self.intake
            .arrive(cost)
            .map_err(|exceeded| Error::CreditExceeded {
                handle: socket.handle(),
                end: exceeded.end,
                limit: exceeded.limit,
            })?;
        let pieces = data.drain(..).filter(|piece| !piece.is_empty());
        if self.ended.is_some() {
            pieces.for_each(drop);
            self.intake.took(cost);
        } else if self.pumping {
            for piece in pieces {
                self.intake.queue(apart(piece, SMALL));
            }
        } else {
            for piece in pieces {
                self.intake.queue_as_is(piece);
            }
            self.write(socket);
            self.intake.pack(|piece| apart(piece, SMALL));
        }
        self.tell_if_due();
        Ok(())
    }

    /// The client ends the direction at `offset`.
    pub(super) fn finish(&mut self, socket: &Socket, offset: u64) -> Result<(), Error> {
        if self.finish.unwrap_or(self.intake.received()) != offset {
            let handle = socket.handle();
            return Err(Error::OffsetUnknown { handle, offset });
        }
        self.finish = Some(offset);
        self.finish_if_empty(socket);
        Ok(())
    }

    /// Whether a pump is to be started; from here on it counts as running.
    pub(super) fn wants_pump(&mut self) -> bool {
        let wanted = !self.pumping && !self.is_empty();
        self.pumping |= wanted;
        wanted
    }

    /// The socket may take more; whether it has.
    pub(super) fn pump(&mut self, socket: &Socket, ready: Events) -> bool {
        let before = self.intake.taken();
        match socket.met_asleep(socket.as_fd(), ready) {
            Ok(Some(error)) | Err(error) => self.fail(socket, "send", error),
            Ok(None) => self.write(socket),
        }
        self.finish_if_empty(socket);
        self.tell_if_due();
        if self.is_empty() && self.ended.is_none() {
            // Nothing else may come by which the client would hear of the last of it.
            self.tell_if_untold();
        }
        self.intake.taken() > before
    }

    /// Whether the pump has nothing more to do; then it no longer counts as running.
    pub(super) fn is_pumped(&mut self) -> bool {
        let done = self.is_empty();
        self.pumping &= !done;
        done
    }

    /// What there is to say to the client.
    pub(super) fn next(&mut self, line: &Arc<Line>) -> Option<Next> {
        if !self.is_held(line) {
            return None;
        }
        if self.say {
            if self.ended.is_some() {
                // The end comes behind it.
                line.tell();
            }
            self.say = false;
            return Some(Next::Credit(self.intake.tell()));
        }
        let ended = self.ended.as_ref()?;
        let untold = !std::mem::replace(&mut self.told, true);
        untold.then(|| Next::SendingEnded(Arc::clone(ended)))
    }

    pub(super) fn is_untold(&self) -> bool {
        self.intake.is_untold()
    }

    /// Says what there is, though it is little.
    pub(super) fn say_rest(&mut self, line: &Arc<Line>) {
        if self.is_held(line) {
            self.tell_if_untold();
        }
    }

    /// What the client has not heard.
    pub(super) fn last_credit(&mut self, line: &Arc<Line>) -> Option<Credit> {
        (self.is_held(line) && self.intake.is_untold()).then(|| self.intake.tell())
    }

    /// Writes what the socket takes of the queue.
    fn write(&mut self, socket: &Socket) {
        if let Err(error) = socket.take_deferred() {
            return self.fail(socket, "send", error);
        }
        while !self.intake.queued().is_empty() {
            match sys::message::send_pieces(socket.as_fd(), self.intake.queued()) {
                Ok(sent) => {
                    socket.count_sent(1, sent);
                    self.intake.took_queued(sent as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The first send after TCP_FASTOPEN_CONNECT has sent the SYN without it.
                Err(error) if sys::errno::is_connecting(&error) => return,
                Err(error) => return self.fail(socket, "send", error),
            }
        }
    }

    fn finish_if_empty(&mut self, socket: &Socket) {
        if self.finish.is_none() || self.ended.is_some() || !self.is_empty() {
            return;
        }
        match socket.shutdown_now(ShutdownHow::Write) {
            Ok(()) => self.end(None),
            Err(error) => self.fail(socket, "shutdown", error),
        }
    }

    fn fail(&mut self, socket: &Socket, syscall: &'static str, error: io::Error) {
        self.end(Some(Call::on(syscall, socket.handle()).failed(error)));
        self.intake.clear();
    }

    fn end(&mut self, error: Option<Error>) {
        let offset = self.intake.taken();
        self.ended = Some(Arc::new(Ending { offset, error }));
        if let Some(line) = &self.line {
            line.tell();
        }
    }

    fn tell_if_untold(&mut self) {
        if let Some(line) = &self.line
            && self.intake.is_untold()
        {
            self.say = true;
            line.tell();
        }
    }

    fn tell_if_due(&mut self) {
        if !self.say
            && self.intake.is_due()
            && let Some(line) = &self.line
        {
            self.say = true;
            line.tell();
        }
    }
}
