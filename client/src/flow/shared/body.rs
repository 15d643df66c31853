//! The side of a request's body: what the flow says next.

use std::task::{Context, Poll};

use ::bytes::Bytes;

use super::{
    super::{Frames as _, Kind, Opening},
    Flow,
    waiting::wake,
};

/// What the body says next.
#[derive(Debug)]
pub(in crate::flow) enum Next {
    Frames(Bytes, Option<Bytes>),
    End,
    /// There is a newer connection.
    Stale,
}

impl<K: Kind> Flow<K> {
    pub(in crate::flow) fn poll_next(
        &self,
        number: u64,
        stream_id: u64,
        context: &mut Context<'_>,
    ) -> Poll<Next> {
        let mut state = self.lock();
        if state.connection.number != number {
            return Poll::Ready(Next::Stale);
        }
        if !state.connection.asked {
            state.connection.asked = true;
            let (received, window) = state.inbox.receiving.opening();
            let opening = Opening {
                handle: self.handle,
                stream_id,
                attempt: number,
                received,
                window,
            };
            return Poll::Ready(Next::Frames(self.kind.open(opening), None));
        }
        if !state.connection.opened {
            state.body.keep(context);
            return Poll::Pending;
        }
        let acknowledge = state.connection.acknowledge && state.is_unacknowledged();
        if acknowledge || state.inbox.receiving.is_credit_due() {
            return Poll::Ready(Next::Frames(K::credit(state.tell()), None));
        }
        if let Some(item) = state.outbox.next() {
            let writer = if state.outbox.unsent() <= K::BACKLOG / 2 {
                state.outbox.writer.take()
            } else {
                None
            };
            drop(state);
            wake(writer);
            let (first, second) = item.frames();
            return Poll::Ready(Next::Frames(first, second));
        }
        if let Some(end) = state.outbox.finish_now()
            && let Some(message) = K::finish(end)
        {
            return Poll::Ready(Next::Frames(message, None));
        }
        if state.connection.ending {
            return Poll::Ready(Next::End);
        }
        state.body.keep(context);
        Poll::Pending
    }
}
