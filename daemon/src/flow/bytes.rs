//! The stream of one connected stream socket: its bytes both ways.
//!
//! Each direction is a state of its own: [`super::receiving`] and [`super::sending`].
//!
//! Tasks: one for a flow whose socket did not take all at once, until it has; see [`super::sending`].

use std::{
    os::fd::AsFd as _,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll},
};

use ::bytes::Bytes;

use super::{
    Credit, Ending, Opened, Opening, Tally, any, items,
    receiving::Receiving,
    seat::{Line, Seat, holds},
    sending::Sending,
};
use crate::{
    error::{Call, Error},
    socket::{Ended, Socket, WaitError, Waiting},
    sys::{self, message::Framing, socket::Events},
    table::Handle,
};
use farsock_proto::Violation;

/// What arrives: RDHUP, so that an end is heard; not PRI, since an urgent byte that nobody takes is reported for ever, and IN is
/// reported as well where a receive would step over it.
pub(super) const ARRIVAL: Events = Events::IN.and(Events::RDHUP);

/// A socket's stream of bytes. Locks are taken in the order of the fields.
#[derive(Debug)]
pub(crate) struct ByteFlow {
    handle: Handle,
    socket: Weak<Socket>,
    seat: Seat,
    receiving: Mutex<Receiving>,
    sending: Mutex<Sending>,
}

/// What is to be said to the client next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Bytes received just now, with what was put before them.
    Chunk(Bytes),
    /// Bytes received earlier.
    Kept(Bytes),
    Credit(Credit),
    ReceivingEnded(Arc<Ending>),
    SendingEnded(Arc<Ending>),
    /// The stream has ended.
    Over(Error),
}

impl ByteFlow {
    /// The flow of `socket`, opened.
    pub(crate) fn open(
        socket: &Arc<Socket>,
        opening: Opening,
    ) -> Result<(Arc<Self>, Arc<Line>, Opened), Error> {
        if socket.framing() != Framing::Stream {
            return Err(unfit("carries messages: open Datagrams"));
        }
        if sys::socket::is_listening(socket.as_fd()) {
            return Err(unfit("listens: open AcceptMany"));
        }
        let flow = socket.flow.get_or_make(
            |any| match any {
                any::Flow::Bytes(flow) => Some(flow),
                _ => None,
            },
            || {
                let flow = Arc::new(Self::new(socket));
                (Arc::clone(&flow), any::Flow::Bytes(flow))
            },
        );
        let flow = flow.ok_or(Error::StreamInUse(socket.handle()))?;
        let (line, opened) = flow
            .seat
            .take(socket, opening, |line| flow.resume(line, opening))?;
        Ok((flow, line, opened))
    }

    fn new(socket: &Arc<Socket>) -> Self {
        Self {
            handle: socket.handle(),
            socket: Arc::downgrade(socket),
            seat: Seat::of_bytes(),
            receiving: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    /// Whether nobody has the stream and nothing is left of it.
    pub(super) fn is_free(&self) -> bool {
        self.seat.is_free()
    }

    fn resume(&self, line: &Arc<Line>, opening: Opening) -> Result<Opened, Error> {
        let mut receiving = self.receiving();
        let mut sending = self.sending();
        let before = tally(&receiving, &sending);
        let receive_offset = receiving
            .delivery
            .open(opening.received, opening.window)
            .map_err(|unknown| self.unknown(unknown.0))?;
        if let Some(holder) = receiving.line.replace(Arc::clone(line)) {
            holder.left(before);
        }
        receiving.told = false;
        if receiving
            .ended
            .as_ref()
            .is_some_and(|end| end.is_unconnected())
        {
            // It may be connected now.
            receiving.ended = None;
        }
        let credit = sending.open(line);
        Ok(Opened {
            send_offset: credit.received,
            send_limit: credit.limit,
            receive_offset,
            before,
        })
    }

    /// The client has sent `data`, which is left empty: the socket takes what it can, and the rest is queued.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        line: &Arc<Line>,
        data: &mut Vec<Bytes>,
    ) -> Result<(), Error> {
        let mut sending = self.sending();
        if !sending.is_held(line) {
            return Err(Error::StreamTaken(self.handle));
        }
        let Some(socket) = self.socket.upgrade() else {
            data.clear();
            return Ok(());
        };
        sending.arrive(&socket, data)?;
        self.pump_if_needed(&mut sending, &socket);
        Ok(())
    }

    /// The client ends its direction at `offset`.
    pub(crate) fn finish(self: &Arc<Self>, line: &Arc<Line>, offset: u64) -> Result<(), Error> {
        let mut sending = self.sending();
        if !sending.is_held(line) {
            return Err(Error::StreamTaken(self.handle));
        }
        match self.socket.upgrade() {
            Some(socket) => sending.finish(&socket, offset),
            None => Ok(()),
        }
    }

    /// The client says what it has received, and grants.
    pub(crate) fn credit(&self, line: &Arc<Line>, received: u64, limit: u64) -> Result<(), Error> {
        let mut receiving = self.receiving();
        if !holds(receiving.line.as_ref(), line) {
            return Err(Error::StreamTaken(self.handle));
        }
        let forgotten = receiving
            .delivery
            .credit(received, limit)
            .map_err(|unknown| self.unknown(unknown.0))?;
        if receiving.drained && receiving.delivery.is_empty() {
            receiving.buffers.pause();
        } else {
            let room = receiving.delivery.room();
            receiving.buffers.give_back(forgotten, room);
        }
        if receiving.blocked {
            receiving.blocked = false;
            drop(receiving);
            line.wake();
        }
        Ok(())
    }

    /// The client has sent nothing for a while: it shall hear what became of what it sent.
    pub(crate) fn rest(&self, line: &Arc<Line>) {
        self.sending().say_rest(line);
    }

    /// Whether the client has not heard all yet.
    pub(crate) fn is_untold(&self) -> bool {
        self.sending().is_untold()
    }

    /// What the client has not heard yet of what it sent.
    pub(crate) fn last_credit(&self, line: &Arc<Line>) -> Option<Credit> {
        self.sending().last_credit(line)
    }

    /// What is to be said to the client next. `head` is told the length of a chunk, writes what comes before it at the end of the
    /// [`HEADROOM`](super::HEADROOM) bytes that it is given, and returns where that begins.
    pub(crate) fn poll_next(
        &self,
        line: &Arc<Line>,
        waiting: &mut Waiting,
        cx: &mut Context<'_>,
        head: impl Fn(&mut [u8], usize) -> usize,
    ) -> Poll<Next> {
        line.listen(cx.waker());
        loop {
            if line.is_taken() {
                return Poll::Ready(Next::Over(Error::StreamTaken(self.handle)));
            }
            if let Some(ended) = waiting.ended() {
                return Poll::Ready(match self.last_credit(line) {
                    Some(credit) => Next::Credit(credit),
                    None => Next::Over(self.over(ended)),
                });
            }
            if line.take_news()
                && let Some(next) = self.sending().next(line)
            {
                return Poll::Ready(next);
            }
            let wanted = {
                let Some(socket) = self.socket.upgrade() else {
                    // What has gone was ended before, if only since the look above.
                    let ended = waiting.ended().unwrap_or(Ended::Closed);
                    return Poll::Ready(Next::Over(self.over(ended)));
                };
                let mut receiving = self.receiving();
                match receiving.next(&socket, line, &head) {
                    Some(Next::ReceivingEnded(_))
                        if let Some(first) = self.sending().next(line) =>
                    {
                        // The kernel tells an error once. A send that took it has left what looks like an end in good order, which is
                        // told after it.
                        receiving.told = false;
                        waiting.was_of_use();
                        return Poll::Ready(first);
                    }
                    Some(next) => {
                        receiving.overtaken |= waiting.is_under_way();
                        waiting.was_of_use();
                        return Poll::Ready(next);
                    }
                    None if receiving.blocked || receiving.ended.is_some() => None,
                    None => Some(ARRIVAL),
                }
            };
            match waiting.poll(wanted, cx) {
                Poll::Pending => return Poll::Pending,
                // Its end, too, is seen above; an error of epoll_ctl(2) is told by no one else.
                Poll::Ready(Err(WaitError::Kernel(error))) => {
                    let call = Call::on("epoll_ctl", self.handle);
                    return Poll::Ready(Next::Over(call.failed(error)));
                }
                Poll::Ready(Ok(ready)) => {
                    // Nobody but this stream makes room for what is to come.
                    if ready.contains(Events::ERR)
                        && let Some(socket) = self.socket.upgrade()
                        && socket.take_errors()
                    {
                        waiting.was_of_use();
                    }
                    if ready != Events::ERR {
                        self.receiving().arrived();
                    }
                }
                Poll::Ready(Err(WaitError::Ended(_))) => {}
            }
        }
    }

    /// The one who has `line` leaves; what is not yet acknowledged stays.
    pub(crate) fn leave(&self, line: &Arc<Line>) {
        {
            let mut receiving = self.receiving();
            let mut sending = self.sending();
            if holds(receiving.line.as_ref(), line) {
                line.left(tally(&receiving, &sending));
                receiving.line = None;
            }
            sending.leave(line);
        }
        let socket = self.socket.upgrade();
        self.seat.leave(line, socket.as_deref(), || self.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.receiving().delivery.is_empty() && self.sending().is_empty()
    }

    /// Starts the pump, if the socket has not taken all and none runs.
    fn pump_if_needed(self: &Arc<Self>, sending: &mut Sending, socket: &Arc<Socket>) {
        if sending.wants_pump() {
            let (flow, mut waiting) = (Arc::clone(self), socket.waiter());
            tokio::spawn(async move {
                while let Ok(ready) =
                    std::future::poll_fn(|cx| waiting.poll(Some(Events::OUT), cx)).await
                {
                    let Some(socket) = flow.socket.upgrade() else {
                        return;
                    };
                    let mut sending = flow.sending();
                    let took = ready.contains(Events::ERR) && socket.take_errors();
                    if sending.pump(&socket, ready) || took {
                        waiting.was_of_use();
                    }
                    if sending.is_pumped() {
                        drop(sending);
                        flow.seat.settle(Some(&socket), || flow.is_empty());
                        return;
                    }
                }
            });
        }
    }

    fn over(&self, ended: Ended) -> Error {
        items::over(self.handle, ended)
    }

    fn unknown(&self, offset: u64) -> Error {
        let handle = self.handle;
        Error::OffsetUnknown { handle, offset }
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving> {
        items::lock(&self.receiving)
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        items::lock(&self.sending)
    }
}

/// What the flow has moved.
fn tally(receiving: &Receiving, sending: &Sending) -> Tally {
    Tally {
        sent: sending.side(),
        received: receiving.side(),
    }
}

fn unfit(why: &str) -> Error {
    Error::Invalid(Violation::new("handle", why))
}
