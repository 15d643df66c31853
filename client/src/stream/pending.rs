//! An operation under way, and what its end means for who waits.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use tonic::Status;

use super::{Ended, Salvage, Shared};

/// Ends with the operation. Dropped before, it cancels the operation; what that one took nevertheless
/// is saved for the next call.
#[derive(Debug)]
#[must_use = "dropping it cancels the operation"]
pub(crate) struct Pending {
    shared: Arc<Shared>,
    id: u64,
    answer: oneshot::Receiver<Ended>,
    salvage: Salvage,
    ended: bool,
    kept: bool,
}

impl Pending {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u64,
        answer: oneshot::Receiver<Ended>,
        salvage: Salvage,
    ) -> Self {
        Self {
            shared,
            id,
            answer,
            salvage,
            ended: false,
            kept: false,
        }
    }

    /// The operation goes on when this is dropped.
    pub(crate) fn keep(mut self) -> Self {
        self.kept = true;
        self
    }

    /// The operation's request id; 0 if the session is over.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Future for Pending {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        Pin::new(&mut self.answer).poll(context).map(|ended| {
            self.ended = true;
            ended.unwrap_or_else(|_| {
                Ended::Lost(Status::unavailable("the client's runtime has ended"))
            })
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended && !self.kept {
            self.shared.abandon(self.id, &mut self.answer, self.salvage);
        }
    }
}
