//! What has arrived and waits for the user.

use std::{collections::VecDeque, task::Waker};

use farsock_proto::Violation;

use super::{super::state::Receiving, waiting::Waiting};
use crate::Result;

/// The direction from the daemon.
pub(super) struct Inbox<I> {
    pub(super) receiving: Receiving,
    /// What has arrived, with its costs.
    pub(super) queue: VecDeque<(I, u64)>,
    /// How the direction ended.
    pub(super) ended: Option<Result<()>>,
    /// The user, who waits for more.
    pub(super) reader: Waiting,
}

impl<I> Inbox<I> {
    pub(super) fn new(window: u64, widest: u64) -> Self {
        Self {
            receiving: Receiving::new(window, widest),
            queue: VecDeque::new(),
            ended: None,
            reader: Waiting::default(),
        }
    }

    /// The user wants no more; returns what was left, to be dropped outside of the lock: it may be sockets.
    pub(super) fn close(&mut self) -> VecDeque<(I, u64)> {
        self.receiving.close();
        std::mem::take(&mut self.queue)
    }

    /// Nothing comes after `offset`; `how` it ended is asked once, as the daemon says it again on each connection. Returns whom to
    /// wake.
    pub(super) fn end(
        &mut self,
        offset: u64,
        how: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Waker>, Violation> {
        if offset != self.receiving.received() {
            return Err(Violation::new(
                "receiving_ended.offset",
                format!("{offset} is not where it was"),
            ));
        }
        self.ended.get_or_insert_with(how);
        Ok(self.reader.take())
    }
}
