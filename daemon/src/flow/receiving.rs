//! The direction of a stream of bytes in which the client receives: what the socket has is received when the client may have it.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;

use super::{
    Ending, RETENTION, Side,
    buffer::Buffers,
    bytes::{ARRIVAL, Next},
    ledger::{Delivery, Item as _},
    seat::{Line, holds},
};
use crate::{
    error::{Call, Error},
    socket::Socket,
    sys::{self, socket::Events},
};

/// The state of the direction.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) line: Option<Arc<Line>>,
    pub(super) delivery: Delivery<Bytes>,
    pub(super) buffers: Buffers,
    pub(super) ended: Option<Arc<Ending>>,
    pub(super) told: bool,
    /// Whether the one who sends to the client waits for credit.
    pub(super) blocked: bool,
    /// Whether the socket had nothing more when it was last asked.
    pub(super) drained: bool,
    /// Whether there may be nothing but an urgent byte, over which a receive would step: so poll(2) is asked before.
    pub(super) may_be_dry: bool,
    /// Whether what the wait under way reports may have been received since.
    pub(super) overtaken: bool,
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            line: None,
            delivery: Delivery::new(RETENTION),
            buffers: Buffers::default(),
            ended: None,
            told: false,
            blocked: false,
            drained: false,
            may_be_dry: true,
            overtaken: false,
        }
    }
}

impl Receiving {
    /// What it has moved.
    pub(super) fn side(&self) -> Side {
        let end = self.delivery.end();
        Side {
            bytes: end,
            left: end - self.delivery.acknowledged(),
            ended: self.ended.as_ref().map(|end| end.half()),
            ..Side::default()
        }
    }

    /// What is to be said next; none if it is to be waited for.
    pub(super) fn next(
        &mut self,
        socket: &Socket,
        line: &Arc<Line>,
        head: impl Fn(&mut [u8], usize) -> usize,
    ) -> Option<Next> {
        if !holds(self.line.as_ref(), line) {
            // Taken over just now: the loop above sees it.
            self.blocked = true;
            return None;
        }
        loop {
            if let Some(kept) = self.delivery.next() {
                return Some(Next::Kept(kept));
            }
            self.blocked = !self.delivery.is_sent();
            if self.blocked {
                return None;
            }
            if let Some(ended) = &self.ended {
                let untold = !std::mem::replace(&mut self.told, true);
                return untold.then(|| Next::ReceivingEnded(Arc::clone(ended)));
            }
            let room = self.delivery.room();
            if room == 0 {
                self.blocked = true;
                self.buffers.pause();
                return None;
            }
            let received = socket.take_deferred().and_then(|()| {
                if self.may_be_dry && !socket.has_kept() && !has_arrived(socket) {
                    return Err(sys::errno::again());
                }
                self.buffers.receive(socket, room, &head)
            });
            self.drained = received.is_err();
            match received {
                Ok(Some(chunk)) => {
                    self.may_be_dry = chunk.is_short;
                    let counters = &socket.counters;
                    counters.messages_received.fetch_add(1, Ordering::Relaxed);
                    counters
                        .bytes_received
                        .fetch_add(chunk.kept.cost(), Ordering::Relaxed);
                    self.delivery.push(chunk.kept);
                    self.delivery.sent_all();
                    return Some(Next::Chunk(chunk.whole));
                }
                Ok(None) => self.end(None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_be_dry = true;
                    if self.delivery.is_empty() {
                        self.buffers.rest();
                    }
                    return None;
                }
                Err(error) => self.end(Some(Call::on("recv", socket.handle()).failed(error))),
            }
        }
    }

    /// The socket has reported that something has come.
    pub(super) fn arrived(&mut self) {
        self.may_be_dry = std::mem::take(&mut self.overtaken);
    }

    fn end(&mut self, error: Option<Error>) {
        let offset = self.delivery.end();
        self.ended = Some(Arc::new(Ending { offset, error }));
    }
}

/// Whether a receive would return something. An urgent byte alone is nothing: it waits for a receive with MSG_OOB until more comes.
fn has_arrived(socket: &Socket) -> bool {
    let ready = sys::socket::poll_one(socket.as_fd(), ARRIVAL);
    ready.is_ok_and(|ready| ready != Events::EMPTY)
}
