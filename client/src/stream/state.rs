//! What callers and the driver of a stream share, under its lock: the ledger, and the way to the daemon.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use farsock_proto::{
    codec::MAX_MESSAGE_BYTES,
    v1::{self, operation::Request},
};
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

use super::{
    Ended, Extras,
    ledger::{Asked, Ledger},
    now,
    wire::{self, SentRequest},
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger<Outgoing, Waiter>,
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
    /// Whether it closes a socket, and so makes room.
    closes: bool,
    pub(super) gives_back: bool,
    takes_from: u64,
}

impl Asking {
    pub(super) fn of(request: Request) -> Self {
        Self {
            room: wire::room_of(&request),
            closes: matches!(request, Request::Close(_)),
            gives_back: wire::gives_back(&request),
            takes_from: wire::takes_from(&request),
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
            urgent: asking.closes,
            gives_back: asking.gives_back,
            takes_from: asking.takes_from,
            operation: Outgoing {
                operation: asking.encoded,
                after: extras.after,
                start_time: extras.start_time,
                notify_waiting: extras.waiting.is_some(),
            },
            waiter: Waiter {
                answer,
                waiting: extras.waiting,
            },
        });
        self.send(now());
        id
    }

    pub(super) fn close_unwatched(&mut self, handle: u64) {
        if self.over.is_none() {
            let abort = false;
            let request = Request::Close(v1::CloseRequest { handle, abort });
            self.ask(Asking::of(request), Extras::default(), None);
        }
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
