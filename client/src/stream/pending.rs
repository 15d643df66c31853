//! An operation under way, and what its end means for who waits.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use farsock_proto::v1::operation_result::Outcome;
use tokio::sync::oneshot;
use tonic::Status;

use super::{Ended, Shared};

/// Ends with the operation. Dropped before, it cancels the operation, and what that one took is given back to its socket.
#[derive(Debug)]
#[must_use = "dropping it cancels the operation"]
pub(crate) struct Pending {
    shared: Arc<Shared>,
    id: u64,
    answer: oneshot::Receiver<Ended>,
    gives_back: bool,
    ended: bool,
    kept: bool,
}

impl Pending {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: u64,
        answer: oneshot::Receiver<Ended>,
        gives_back: bool,
    ) -> Self {
        Self {
            shared,
            id,
            answer,
            gives_back,
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
            let mut ended = ended.unwrap_or_else(|_| {
                Ended::Lost(Status::unavailable("the client's runtime has ended"))
            });
            if let Ended::Result {
                outcome, receipt, ..
            } = &mut ended
                && self.gives_back
                && !matches!(**outcome, Outcome::Error(_))
            {
                *receipt = Some(Receipt {
                    shared: Arc::clone(&self.shared),
                    id: self.id,
                    accepted: false,
                });
            }
            ended
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.ended && !self.kept {
            self.shared.abandon(self.id);
        }
    }
}

/// A result that is not acknowledged yet. Dropped before its caller has it, what the operation took is given back.
#[derive(Debug)]
pub(crate) struct Receipt {
    shared: Arc<Shared>,
    id: u64,
    accepted: bool,
}

impl Receipt {
    /// The caller has the result.
    pub(crate) fn accept(mut self) {
        self.accepted = true;
        self.shared.accepted(self.id);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.accepted {
            self.shared.abandon(self.id);
        }
    }
}
