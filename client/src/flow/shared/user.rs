//! The user's side of a flow: takes what has arrived, gives what is to be sent, and lets go.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use super::{super::Kind, Flow, Outgoing, Released, waiting::wake};
use crate::Result;

impl<K: Kind> Flow<K> {
    pub(crate) fn kind(&self) -> &K {
        &self.kind
    }

    /// Takes of what has arrived, by `take`, which tells what it cost and is given a queue that is not empty; none at the
    /// end. Errors come after all that arrived before them, and again each time; one that the kernel keeps for the next call comes
    /// once, here or at a send.
    pub(crate) fn poll_receive<T>(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut VecDeque<(K::In, u64)>) -> (T, u64),
    ) -> Poll<Result<Option<T>>> {
        let mut state = self.lock();
        if state.inbox.queue.is_empty() {
            if state.inbox.ended.is_some()
                && let Some(error) = state.pending.hear_receiving()
            {
                return Poll::Ready(Err(error));
            }
            if let Some(ended) = &state.inbox.ended {
                return Poll::Ready(ended.clone().map(|()| None));
            }
            if let Some(over) = &state.over {
                return Poll::Ready(Err(over.clone()));
            }
            state.inbox.receiving.waited();
            state.inbox.reader.keep(context);
            return Poll::Pending;
        }
        let (taken, cost) = take(&mut state.inbox.queue);
        state.inbox.receiving.consumed(cost);
        let body = if state.inbox.receiving.is_credit_due() {
            state.body.take()
        } else {
            None
        };
        drop(state);
        wake(body);
        Poll::Ready(Ok(Some(taken)))
    }

    /// Gives what there is room for, by `give`, which is told how much may wait and whether something does; none if this
    /// side has ended its direction, or the user has heard that the connection is gone. What the kernel kept for the next call comes
    /// first, even before bytes that wait to be received.
    pub(crate) fn poll_send<T>(
        &self,
        context: &mut Context<'_>,
        give: impl FnOnce(&mut Outgoing<'_, K>) -> T,
    ) -> Poll<Result<Option<T>>> {
        let mut state = self.lock();
        if let Some(error) = state.pending.hear_sending() {
            return Poll::Ready(Err(error));
        }
        if state.pending.is_broken() {
            return Poll::Ready(Ok(None));
        }
        match &state.outbox.ended {
            Some(Err(error)) => return Poll::Ready(Err(error.clone())),
            Some(Ok(())) => return Poll::Ready(Ok(None)),
            None => {}
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        if state.outbox.sending.is_finishing() {
            return Poll::Ready(Ok(None));
        }
        if let Some(failure) = state.next_failure() {
            return Poll::Ready(Err(failure));
        }
        let Some(mut outgoing) = state.outbox.outgoing() else {
            state.outbox.writer.keep(context);
            return Poll::Pending;
        };
        let given = give(&mut outgoing);
        let body = state.body.take();
        drop(state);
        wake(body);
        Poll::Ready(Ok(Some(given)))
    }

    /// Ends the sending direction, after all that was given.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.outbox.sending.finish();
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// Whether the sending direction has ended. If a send has failed on a connection that is gone, it is told as at
    /// [`poll_send`](Self::poll_send); shutdown(2) of its own leaves the kernel's error alone, and says ENOTCONN.
    pub(crate) fn poll_finished(&self, context: &mut Context<'_>) -> Poll<Result<Option<()>>> {
        let mut state = self.lock();
        match state.outbox.ended.clone() {
            Some(Ok(())) => return Poll::Ready(Ok(Some(()))),
            Some(Err(error)) if error.errno_name() == Some("ENOTCONN") => {
                return Poll::Ready(Err(error));
            }
            Some(Err(error)) => {
                return Poll::Ready(match state.pending.hear_sending() {
                    Some(error) => Err(error),
                    None if state.pending.is_broken() => Ok(None),
                    None => Err(error),
                });
            }
            None => {}
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        state.outbox.writer.keep(context);
        Poll::Pending
    }

    /// Whether the socket has taken all that was given, or could not.
    pub(crate) fn poll_taken(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if let Some(failure) = state.next_failure() {
            return Poll::Ready(Err(failure));
        }
        if state.outbox.is_taken() {
            return Poll::Ready(Ok(()));
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        state.outbox.writer.keep(context);
        Poll::Pending
    }

    /// Lets go; returns what is to be dropped now.
    pub(in crate::flow) fn let_go(&self, released: Released) -> Option<Released> {
        // Before the lock, and so dropped after it: it may be sockets.
        let _untaken;
        let mut state = self.lock();
        _untaken = state.inbox.close();
        if state.driver_ended {
            return Some(released);
        }
        let before = state.released.replace(released);
        drop(state);
        self.let_go.notify_one();
        before
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Before the look, so that no end comes between.
            ended.as_mut().enable();
            if self.lock().driver_ended {
                return;
            }
            ended.await;
        }
    }
}
