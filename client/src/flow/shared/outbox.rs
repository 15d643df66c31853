//! What the user has given and the socket has not taken.

use std::task::Waker;

use farsock_proto::{Violation, v1};

use super::{
    super::{Kind, Staging, state::Sending},
    failures::Failures,
    waiting::Waiting,
};
use crate::Result;

type ItemOf<K> = <<K as Kind>::Staging as Staging>::Item;

/// The direction to the daemon.
pub(super) struct Outbox<K: Kind> {
    pub(super) sending: Sending<ItemOf<K>>,
    /// What the user gave last: after what is in `sending`.
    staging: K::Staging,
    /// How the direction ended.
    pub(super) ended: Option<Result<()>>,
    pub(super) failures: Failures,
    /// The user, who waits for room, or for the socket to have taken all.
    pub(super) writer: Waiting,
}

impl<K: Kind> Outbox<K> {
    pub(super) fn new() -> Self {
        Self {
            sending: Sending::default(),
            staging: K::Staging::default(),
            ended: None,
            failures: Failures::default(),
            writer: Waiting::default(),
        }
    }

    /// How much waits to be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.sending.unsent() + self.staging.cost()
    }

    /// Where the user gives; none if there is no room.
    pub(super) fn outgoing(&mut self) -> Option<Outgoing<'_, K>> {
        let unsent = self.unsent();
        (unsent < K::BACKLOG).then(|| Outgoing {
            room: K::BACKLOG - unsent,
            staging: &mut self.staging,
            sending: &mut self.sending,
        })
    }

    /// What goes out now, if the daemon lets it.
    pub(super) fn next(&mut self) -> Option<ItemOf<K>> {
        if self.sending.unsent() == 0
            && self.sending.has_credit()
            && let Some(item) = self.staging.take()
        {
            self.sending.push(item);
        }
        self.sending.next()
    }

    /// Where the direction ends, if that is to be said now.
    pub(super) fn finish_now(&mut self) -> Option<u64> {
        match self.staging.cost() {
            0 => self.sending.finish_now(),
            _ => None,
        }
    }

    /// Whether the socket has taken all that was given.
    pub(super) fn is_taken(&self) -> bool {
        self.staging.cost() == 0 && self.sending.is_taken()
    }

    /// Whether the driver need not wait for the socket any more.
    pub(super) fn is_delivered(&self) -> bool {
        self.ended.is_some() || self.is_taken() && !self.sending.is_finishing()
    }

    /// The daemon has opened the flow. Returns whom to wake.
    pub(super) fn open(&mut self, offset: u64, limit: u64) -> Result<Option<Waker>, Violation> {
        self.sending.opened(offset, limit)?;
        if self.ended.is_some() {
            self.sending.abandon();
        }
        // What had been sent counts as unsent until here: there may be room again.
        Ok(self.writer.take())
    }

    /// The daemon acknowledges and grants. Returns whom to wake.
    pub(super) fn credit(&mut self, credit: &v1::Credit) -> Result<Option<Waker>, Violation> {
        self.sending.credit(credit)?;
        Ok(if self.sending.is_taken() {
            self.writer.take()
        } else {
            None
        })
    }

    /// The daemon takes no more. Returns whom to wake.
    pub(super) fn end(&mut self, how: Result<()>) -> Option<Waker> {
        self.ended.get_or_insert(how);
        self.staging.take();
        self.sending.abandon();
        self.writer.take()
    }
}

/// Where the user gives.
pub(crate) struct Outgoing<'a, K: Kind> {
    /// How much may wait beside what does.
    pub(crate) room: u64,
    pub(crate) staging: &'a mut K::Staging,
    sending: &'a mut Sending<ItemOf<K>>,
}

impl<K: Kind> Outgoing<'_, K> {
    /// Whether something waits already.
    pub(crate) fn is_busy(&self) -> bool {
        self.sending.unsent() > 0
    }

    /// Makes an item of what was staged.
    pub(crate) fn seal(&mut self) {
        if let Some(item) = self.staging.take() {
            self.sending.push(item);
        }
    }

    /// Gives an item, after what was staged.
    pub(crate) fn push(&mut self, item: ItemOf<K>) {
        self.seal();
        self.sending.push(item);
    }
}
