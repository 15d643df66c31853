//! One direction of a relay: what is received of one socket is sent on another.

use std::{io, os::fd::AsFd, sync::atomic::Ordering};

use bytes::{Buf, Bytes};
use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    socket::{ShutdownHow, SocketType},
};

use super::waits::Waits;
use crate::{
    engine::{Engine, Held},
    error::{Call, Error},
    socket::{Direction, Ended, ReceiveRequest, Socket, eager::TakesAll, receive::ARRIVAL},
    sys::{self, message::Framing, socket::Events, splice::Pipe},
    table::Handle,
};

/// How often bytes are moved before others get their turn: some milliseconds' worth.
const BURST: u32 = 16;
/// How many bytes one recv(2) takes of a stream that cannot be spliced.
const PART: usize = 64 * 1024;
/// The longest message that is relayed, in bytes: as long as one that Recv can take.
const LONGEST_MESSAGE: usize = 2 * 1024 * 1024;
/// Room for the control messages of a socket that may put datagrams together (UDP_GRO), in bytes: its segment size comes behind time
/// stamps, marks and counts. Whether it does is told by each message alone, since others may have the open socket, too.
const SEGMENT_ROOM: usize = 512;

/// A direction. What was taken of `from` is in the pipe or in the buffer until `to` has taken it, and not in any future: those can be
/// dropped at any wait.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    from: &'a Socket,
    to: &'a Socket,
    /// None between sockets of messages, and where splice(2) will not do.
    pipe: Option<Pipe>,
    /// What was taken and is not in the pipe: never empty but for an empty message.
    buffer: Option<Bytes>,
    /// How long each datagram in the buffer is, but for the last, if one receive put several together (UDP_GRO).
    segment: Option<usize>,
    /// The buffer's memory, as long as it waits.
    held: Option<Held<&'a Engine>>,
    moved: u64,
    /// Bytes of a message that was cut off.
    cut: u64,
    /// The errno that a send on `from` has taken: the end of what can be received is no end of the stream then.
    broken: Option<i32>,
    outcome: Option<Result<(), Failure>>,
    /// How often the connections of `from` and `to` had been dissolved when the last call on them ended. Here, since a wait may go on
    /// in another future.
    disconnects: (usize, usize),
    _takes_all: TakesAll<'a>,
}

/// What ends a direction, if it is not the end of the stream.
#[derive(Debug)]
pub(super) enum Failure {
    /// recv(2), or splice(2) in its place.
    Receive(io::Error),
    /// send(2), or splice(2) in its place.
    Send(io::Error),
    /// shutdown(2).
    Shutdown(io::Error),
    /// One of the daemon's limits.
    Refused(Error),
    /// Somebody.
    Ended(End),
}

/// What ends a relay from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The request's `timeout` was over.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// Waiting on this socket is over for good.
    Socket(Handle, Ended),
}

impl<'a> Flow<'a> {
    /// A direction that has moved nothing yet.
    ///
    /// # Errors
    /// As of pipe2(2): EMFILE, ENFILE.
    pub(super) fn new(from: &'a Socket, to: &'a Socket) -> io::Result<Self> {
        let pipe = match from.framing() {
            Framing::Stream => Pipe::new()?,
            Framing::Message => None,
        };
        Ok(Self {
            from,
            to,
            pipe,
            buffer: None,
            segment: None,
            held: None,
            moved: 0,
            cut: 0,
            broken: None,
            outcome: None,
            disconnects: (from.disconnects(), to.disconnects()),
            _takes_all: TakesAll::new(from),
        })
    }

    /// Relays until the direction has ended. The future may be dropped, and this be called again: it goes on where it was.
    pub(super) async fn run(&mut self, engine: &'a Engine) {
        let outcome = self.relay(engine).await;
        self.outcome = Some(outcome);
    }

    /// Ends the direction, if it has not ended, after `to` was offered what it takes at once.
    pub(super) fn end(&mut self, end: End) {
        self.flush();
        self.outcome.get_or_insert(Err(Failure::Ended(end)));
    }

    /// Draws the consequences of the end of the `other` direction, whose sockets are the same.
    pub(super) fn follow(&mut self, other: &Self) {
        if self.outcome.is_some() {
            return;
        }
        match &other.outcome {
            // The connection that this direction sends on may be over: nothing that happens on `from` would tell. One that waits to send
            // learns it by its own wait.
            Some(Err(Failure::Receive(_))) if !self.is_delivering() => {
                if let Err(error) = self.to.check_writable() {
                    self.outcome = Some(Err(Failure::Send(error)));
                }
            }
            // The kernel tells such an error to one call alone.
            Some(Err(Failure::Send(error))) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.broken = error.raw_os_error();
            }
            Some(Err(Failure::Ended(end))) => self.end(*end),
            _ => {}
        }
    }

    /// Whether it has taken something that is not delivered yet.
    fn is_delivering(&self) -> bool {
        self.buffer.is_some() || self.pipe.as_ref().is_some_and(|pipe| pipe.held() > 0)
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// How many bytes it has moved.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// How many bytes it has taken and not delivered.
    pub(super) fn undelivered(&self) -> u64 {
        let pipe = self.pipe.as_ref().map_or(0, Pipe::held);
        let buffer = self.buffer.as_ref().map_or(0, Bytes::len);
        (pipe + buffer) as u64 + self.cut
    }

    /// How it has ended: with an error, if it was not the end of the stream, which `told` makes of what came from outside.
    pub(super) fn error(&mut self, told: impl FnOnce(End) -> Error) -> Option<Error> {
        Some(match self.outcome.take()?.err()? {
            Failure::Receive(error) => Call::on("recv", self.from.handle()).failed(error),
            Failure::Send(error) => Call::on("send", self.to.handle()).failed(error),
            Failure::Shutdown(error) => Call::on("shutdown", self.to.handle())
                .with(ShutdownHow::Write)
                .failed(error),
            Failure::Refused(error) => error,
            Failure::Ended(end) => told(end),
        })
    }

    /// What ended it from outside, if it did nothing until then.
    pub(super) fn ended_untouched(&self) -> Option<End> {
        match self.outcome {
            Some(Err(Failure::Ended(end))) if self.moved == 0 && self.undelivered() == 0 => {
                Some(end)
            }
            _ => None,
        }
    }

    async fn relay(&mut self, engine: &'a Engine) -> Result<(), Failure> {
        self.from.take_deferred().map_err(Failure::Receive)?;
        self.deliver(engine).await?;
        loop {
            for _ in 0..BURST {
                if !self.take().await? {
                    return self.pass_on_the_end();
                }
                self.deliver(engine).await?;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes what there is, and waits until there is something; false at the end of the stream.
    async fn take(&mut self) -> Result<bool, Failure> {
        let mut waits = Waits::new(self.from, Direction::Receive, ARRIVAL, self.disconnects.0);
        let mut ready = Events::EMPTY;
        loop {
            waits.check_connection().map_err(Failure::Receive)?;
            match self.take_now(ready) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ready.contains(Events::ERR) {
                        self.from.take_errors();
                    }
                    ready = waits.ready().await?;
                }
                // As in `Socket::first`: a receive asleep on MPTCP takes AF_UNSPEC for the end.
                Err(error)
                    if error.kind() == io::ErrorKind::NotConnected
                        && self.from.kind().is_mptcp()
                        && waits.disconnected() =>
                {
                    return Ok(false);
                }
                outcome => {
                    self.disconnects.0 = self.from.disconnects();
                    return outcome.map_err(Failure::Receive);
                }
            }
        }
    }

    /// Takes what there is, after a wait that ended with `ready`. Nothing is pending before.
    fn take_now(&mut self, ready: Events) -> io::Result<bool> {
        if self.from.framing() == Framing::Message {
            return self.take_message(ready);
        }
        if let Some(pipe) = &mut self.pipe
            && !self.from.has_kept()
        {
            let would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            match pipe.fill(self.from.as_fd()) {
                // The end, or an urgent byte before it: recv(2) steps over it and knows.
                Ok(0) => {}
                Ok(taken) => {
                    self.from.count_relayed_in(1, taken);
                    return Ok(true);
                }
                // So it says before an urgent byte too, which makes the socket readable.
                Err(error) if would_block(&error) && ready != Events::EMPTY => {}
                Err(error) if sys::errno::is_invalid(&error) => self.pipe = None,
                Err(error) => return Err(error),
            }
        }
        let data = self.receive(PART, 0)?.data;
        if data.is_empty() {
            return Ok(false);
        }
        self.from.count_relayed_in(1, data.len());
        self.buffer = Some(data);
        Ok(true)
    }

    fn take_message(&mut self, ready: Events) -> io::Result<bool> {
        let received = match self.receive(LONGEST_MESSAGE, self.segment_room()) {
            // As in `or_end_of_messages`.
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock && ready.contains(Events::RDHUP) =>
            {
                return Ok(false);
            }
            other => other?,
        };
        if received.is_end {
            return Ok(false);
        }
        let (length, segment) = (received.data.len(), segment(&received));
        let datagrams = segment.map_or(1, |segment| length.div_ceil(segment));
        self.from.count_relayed_in(datagrams as u64, length);
        if received.full_length > received.data.len() {
            self.cut = received.full_length as u64;
            return Err(sys::errno::message_too_long());
        }
        self.segment = segment;
        self.buffer = Some(received.data);
        Ok(true)
    }

    /// How much room for control messages a receive needs that must tell one datagram from several.
    fn segment_room(&self) -> usize {
        let kind = self.from.kind();
        match kind.is_internet() && kind.socket_type() == SocketType::Dgram {
            true => SEGMENT_ROOM,
            false => 0,
        }
    }

    fn receive(&self, length: usize, control_length: usize) -> io::Result<sys::message::Received> {
        let request = ReceiveRequest {
            length,
            flags: MessageFlags::NONE,
            address: false,
        };
        self.from
            .receive_part(self.from.as_fd(), (request, control_length))
    }

    /// Gives `to` all that was taken, and waits until it has room.
    async fn deliver(&mut self, engine: &'a Engine) -> Result<(), Failure> {
        let mut waits = Waits::new(self.to, Direction::Send, Events::OUT, self.disconnects.1);
        let mut ready = Events::EMPTY;
        loop {
            waits.check_connection().map_err(|error| {
                // As of every send that would be EPIPE.
                let pending = sys::socket::take_error(self.to.as_fd()).ok().flatten();
                Failure::Send(pending.unwrap_or(error))
            })?;
            match self.deliver_now(ready) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let (Some(data), None) = (&self.buffer, &self.held) {
                        self.held =
                            Some(Engine::hold(engine, data.len()).map_err(Failure::Refused)?);
                    }
                    ready = waits.ready().await?;
                }
                outcome => {
                    self.held = None;
                    self.disconnects.1 = self.to.disconnects();
                    return outcome.map_err(Failure::Send);
                }
            }
        }
    }

    /// Gives `to` what it takes at once, after a wait that ended with `ready`. EAGAIN: not all of it.
    fn deliver_now(&mut self, ready: Events) -> io::Result<()> {
        let fd = self.to.as_fd();
        if let Some(error) = self.to.met_asleep(fd, ready)? {
            return Err(error);
        }
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| pipe.held() > 0) {
            match pipe.drain(fd) {
                Ok(given) if given > 0 => {
                    self.moved += given as u64;
                    self.to.count_relayed_out(given);
                }
                Err(error) if !sys::errno::is_invalid(&error) => return or_again(Err(error)),
                _ => {
                    self.buffer = Some(pipe.take()?.into());
                    self.pipe = None;
                }
            }
        }
        while let Some(data) = &mut self.buffer {
            let datagram = self.segment.unwrap_or(data.len()).min(data.len());
            let sent = sys::message::send(fd, &data[..datagram], MessageFlags::NONE, None);
            let sent = or_again(sent)?;
            self.moved += sent as u64;
            self.to.count_relayed_out(sent);
            data.advance(sent.min(data.len()));
            let whole = self.to.framing() == Framing::Message && self.segment.is_none();
            if data.is_empty() || whole {
                self.buffer = None;
            }
        }
        Ok(())
    }

    /// Offers `to` what is left, if the direction has not ended: what it takes at once is not lost. A closed handle sends no more.
    fn flush(&mut self) {
        if self.outcome.is_none()
            && !matches!(self.to.source.ended(), Some(Ended::Closed | Ended::Expired))
        {
            // What it does not take, for whatever reason, is told as undelivered.
            let _ = self.deliver_now(Events::EMPTY);
        }
    }

    /// Tells the peer of `to` that nothing more comes.
    fn pass_on_the_end(&self) -> Result<(), Failure> {
        if let Some(errno) = self.broken {
            return Err(Failure::Receive(io::Error::from_raw_os_error(errno)));
        }
        self.to
            .shutdown_now(ShutdownHow::Write)
            .map_err(Failure::Shutdown)
    }
}

/// EAGAIN instead of EINPROGRESS: the first send after TCP_FASTOPEN_CONNECT has sent the SYN without the data.
fn or_again<T>(outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if sys::errno::is_connecting(&error) => Err(sys::errno::again()),
        other => other,
    }
}

/// How long each datagram is of those that one receive put together; none if it is one.
fn segment(received: &sys::message::Received) -> Option<usize> {
    let size = received.control.iter().find_map(|control| match control {
        ControlMessage::ReceiveSegmentSize(size) => usize::try_from(*size).ok(),
        _ => None,
    });
    size.filter(|size| (1..received.data.len()).contains(size))
}

/// The client has left, or its deadline is over: nobody is told.
impl Drop for Flow<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Socket {
    fn disconnects(&self) -> usize {
        self.disconnects.load(Ordering::Relaxed)
    }

    fn count_relayed_in(&self, messages: u64, bytes: usize) {
        let Self { counters, .. } = self;
        counters
            .messages_received
            .fetch_add(messages, Ordering::Relaxed);
        counters
            .bytes_received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn count_relayed_out(&self, bytes: usize) {
        let Self { counters, .. } = self;
        counters.messages_sent.fetch_add(1, Ordering::Relaxed);
        counters
            .bytes_sent
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The error that a send would end with, if the socket's state alone makes it one. On a stream a send of nothing asks for it. Elsewhere
    /// that would be a message, unless HUP says that the connection is over in both directions.
    fn check_writable(&self) -> io::Result<()> {
        if self.framing() == Framing::Message {
            let events = sys::socket::poll(&[(self.as_fd(), Events::EMPTY)])?;
            if !events.iter().any(|events| events.contains(Events::HUP)) {
                return Ok(());
            }
        }
        match sys::message::send(self.as_fd(), &[], MessageFlags::NONE, None) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}
