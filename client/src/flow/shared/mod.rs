//! What the user of a flow, its driver and the body of its request share, under one lock. Each of the three has a file of
//! what it does with it.

mod body;
mod driver;
mod failures;
mod hear;
mod inbox;
mod outbox;
mod pending;
mod user;
mod waiting;

use std::sync::{Mutex, MutexGuard, PoisonError};

use farsock_proto::v1;
use tokio::sync::Notify;

pub(super) use self::body::Next;
pub(crate) use self::outbox::Outgoing;
use self::{
    inbox::Inbox,
    outbox::Outbox,
    pending::Pending,
    waiting::{Waiting, wake},
};
use super::Kind;
use crate::{Error, RemoteSocket};

/// One flow of a socket.
#[derive(Debug)]
pub(crate) struct Flow<K: Kind> {
    pub(super) kind: K,
    pub(super) handle: u64,
    state: Mutex<State<K>>,
    /// The user has let go.
    pub(super) let_go: Notify,
    /// The driver has ended.
    ended: Notify,
}

struct State<K: Kind> {
    outbox: Outbox<K>,
    inbox: Inbox<K::In>,
    pending: Pending,
    /// Why there is no flow any more.
    over: Option<Error>,
    released: Option<Released>,
    driver_ended: bool,
    connection: Connection,
    /// The body of the request of now, which has nothing to say.
    body: Waiting,
}

/// The request of now.
#[derive(Debug, Default)]
struct Connection {
    /// Which it is, from 1; what belongs to an older one has no say.
    number: u64,
    /// Whether the first message was said.
    asked: bool,
    /// Whether the daemon's first message came.
    opened: bool,
    /// An acknowledgement shall go out, however little it says.
    acknowledge: bool,
    /// The request ends.
    ending: bool,
}

/// What the user leaves to the driver.
#[derive(Debug)]
pub(super) struct Released {
    /// To be dropped when all is taken; none if it goes on without the flow.
    pub(super) socket: Option<RemoteSocket>,
}

impl<K: Kind> Flow<K> {
    pub(super) fn new(kind: K, handle: u64) -> Self {
        Self {
            kind,
            handle,
            state: Mutex::new(State {
                outbox: Outbox::new(),
                inbox: Inbox::new(K::WINDOW, K::WIDEST),
                pending: Pending::default(),
                over: None,
                released: None,
                driver_ended: false,
                connection: Connection::default(),
                body: Waiting::default(),
            }),
            let_go: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kind> State<K> {
    /// Whether the daemon does not know yet what this side has.
    fn is_unacknowledged(&self) -> bool {
        self.inbox.receiving.is_unacknowledged() || self.outbox.failures.are_untold()
    }

    /// What to tell the daemon now.
    fn tell(&mut self) -> v1::Credit {
        self.connection.acknowledge = false;
        v1::Credit {
            failures_heard: self.outbox.failures.tell(),
            ..self.inbox.receiving.tell()
        }
    }

    /// A failure that the user has not heard of. Once all have been, the daemon is told.
    fn next_failure(&mut self) -> Option<Error> {
        let failure = self.outbox.failures.hear()?;
        if self.outbox.failures.are_heard() {
            self.connection.acknowledge = true;
            wake(self.body.take());
        }
        Some(failure)
    }

    fn have_both_ended(&self) -> bool {
        self.inbox.ended.is_some() && self.outbox.ended.is_some()
    }

    /// Whether neither side has anything more to say.
    fn is_complete(&self) -> bool {
        self.have_both_ended() || self.released.is_some() && self.outbox.is_delivered()
    }
}

impl<K: Kind> std::fmt::Debug for State<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("receiving", &self.inbox.receiving)
            .field("queued", &self.inbox.queue.len())
            .field("unsent", &self.outbox.unsent())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
