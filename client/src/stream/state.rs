//! What callers and the driver of a stream share, under its lock: the ledger, what was left behind by
//! callers that have gone, and the way to the daemon.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use farsock_proto::{
    codec::MAX_MESSAGE_BYTES,
    v1::{self, operation::Request, operation_result::Outcome},
};
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

use super::{
    Ended, Extras,
    ledger::{Asked, Ledger},
    now,
    returned::{Item, Lane, Returned},
    wire::{self, SentRequest, lane_of, want_of},
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger<Outgoing, Waiter>,
    pub(super) returned: Returned,
    /// Operations under way that nobody waits for and that may yet take something.
    pub(super) abandoned: HashMap<Lane, Abandoned>,
    /// The attached stream. As long as the ledger's messages: it sends what the daemon has room for.
    pub(super) outgoing: Option<mpsc::UnboundedSender<SentRequest>>,
    /// Why the session is over.
    pub(super) over: Option<Status>,
}

/// An operation that is asked for.
#[derive(Debug)]
pub(super) struct Asking {
    encoded: Bytes,
    /// Bytes that the daemon keeps free for its result.
    room: usize,
    /// The socket that it closes.
    closes: Option<u64>,
    pub(super) salvage: Salvage,
}

impl Asking {
    pub(super) fn of(request: Request) -> Self {
        Self {
            room: wire::room_of(&request),
            closes: match &request {
                Request::Close(close) => Some(close.handle),
                _ => None,
            },
            salvage: Salvage::of(&request),
            encoded: wire::encoded(request),
        }
    }

    /// Why the daemon could not even read it. Sent, it would end the stream, and so the session.
    pub(super) fn refusal(&self) -> Option<Status> {
        wire::too_long(self.encoded.len(), MAX_MESSAGE_BYTES - wire::MOST_BESIDE)
    }
}

/// An operation and what is said beside it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Encoded once, however often it is sent.
    pub(super) operation: Bytes,
    pub(super) after: u64,
    pub(super) start_time: Option<prost_types::Timestamp>,
    pub(super) notify_waiting: bool,
}

/// Who gets a result.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Nobody, if its caller has gone.
    pub(super) answer: Option<oneshot::Sender<Ended>>,
    pub(super) waiting: Option<Arc<Notify>>,
    pub(super) salvage: Salvage,
}

/// What is to be saved of a result that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Salvage {
    /// Nothing.
    Nothing,
    /// It is for the next call on this lane.
    Lane(Lane),
    /// New sockets: they are closed.
    Sockets,
}

#[derive(Debug, Default)]
pub(super) struct Abandoned {
    pub(super) count: usize,
    /// Whether the socket is being closed: what was taken from it is for nobody.
    pub(super) closed: bool,
}

impl Salvage {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            // A number that the client chose has an owner from the start.
            Request::CreateSocket(create) if create.new_handle == 0 => Self::Sockets,
            Request::CreateSocketPair(create) if create.new_first == 0 => Self::Sockets,
            request if want_of(request).is_some_and(|want| want.peek) => Self::Nothing,
            request => lane_of(request).map_or(Self::Nothing, Self::Lane),
        }
    }
}

impl State {
    pub(super) fn ask(
        &mut self,
        asking: Asking,
        extras: Extras,
        answer: Option<oneshot::Sender<Ended>>,
    ) -> u64 {
        let id = self.ledger.ask(Asked {
            room: asking.room,
            urgent: asking.closes.is_some(),
            operation: Outgoing {
                operation: asking.encoded,
                after: extras.after,
                start_time: extras.start_time,
                notify_waiting: extras.waiting.is_some(),
            },
            waiter: Waiter {
                answer,
                waiting: extras.waiting,
                salvage: asking.salvage,
            },
        });
        if let Some(handle) = asking.closes {
            self.forget(handle);
        }
        self.send(now());
        id
    }

    /// A socket is being closed: so are the connections that were accepted from it for nobody.
    pub(super) fn forget(&mut self, handle: u64) {
        for (lane, abandoned) in &mut self.abandoned {
            abandoned.closed |= lane.handle() == handle;
        }
        for connection in self.returned.close(handle) {
            self.close_unwatched(connection);
        }
    }

    pub(super) fn close_unwatched(&mut self, handle: u64) {
        if self.over.is_none() {
            let abort = false;
            let request = Request::Close(v1::CloseRequest { handle, abort });
            self.ask(Asking::of(request), Extras::default(), None);
        }
    }

    /// Saves what an operation took for a caller that had gone.
    pub(super) fn save(&mut self, salvage: Salvage, ended: Ended) {
        let Ended::Result { outcome, .. } = ended else {
            return;
        };
        match (salvage, *outcome) {
            (Salvage::Lane(lane), outcome) => {
                let Some(item) = wire::item_of(outcome) else {
                    return;
                };
                let closed = self.abandoned.get(&lane).is_some_and(|lane| lane.closed);
                match item {
                    Item::Connection(connection) if closed => {
                        self.close_unwatched(connection.handle);
                    }
                    Item::Data(_) if closed => {}
                    item => self.returned.put(lane, item),
                }
            }
            (Salvage::Sockets, Outcome::CreateSocket(created)) => {
                self.close_unwatched(created.handle);
            }
            (Salvage::Sockets, Outcome::CreateSocketPair(created)) => {
                self.close_unwatched(created.first);
                self.close_unwatched(created.second);
            }
            _ => {}
        }
    }

    /// An operation that nobody waited for has ended.
    pub(super) fn resolve(&mut self, salvage: Salvage) {
        if let Salvage::Lane(lane) = salvage
            && let Some(abandoned) = self.abandoned.get_mut(&lane)
        {
            abandoned.count -= 1;
            if abandoned.count == 0 {
                self.abandoned.remove(&lane);
            }
        }
    }

    /// Whether nothing was left on the lane, and nothing can be.
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        !self.abandoned.contains_key(&lane) && !self.returned.has(lane)
    }

    /// Sends what the ledger has to say.
    pub(super) fn send(&mut self, now: Instant) {
        let Some(outgoing) = &self.outgoing else {
            return;
        };
        while let Some(saying) = self.ledger.next(now) {
            // A broken stream is told to the driver, which attaches another.
            let _ = outgoing.send(wire::message(saying));
        }
    }
}
