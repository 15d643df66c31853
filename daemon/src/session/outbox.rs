//! What is to be said to an attached stream: names of results, not results.
//!
//! Bounded: a client that goes on without reading what it is told is detached, and read no further.

use std::{collections::VecDeque, sync::PoisonError};

use tokio::sync::Notify;

use super::Refusal;
use crate::sync::{Mutex, MutexGuard};

/// A message for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The operation of this id waits.
    Waiting(u64),
    /// The operation of this id has ended; its result is in the ledger.
    Ended(u64),
    /// The message that named this id was refused.
    Refused(u64, Refusal),
}

/// Why a stream is no longer attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    /// A newer stream has attached.
    Taken,
    /// The session is over.
    Expired,
    /// The daemon is shutting down.
    Draining,
    /// The client goes on and does not read what it is told.
    Unread,
    /// What the client says cannot be read.
    Unreadable,
}

/// The messages for one attached stream.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    detached: Option<Detached>,
}

/// How many messages may wait to be read: that every operation a ledger knows waits, and has ended, and a few refusals.
const MAX_MESSAGES: usize = 2 * super::LIMITS.results + 16_384;

impl Outbox {
    /// Adds a message, unless the stream is no longer attached.
    pub(crate) fn push(&self, message: Message) {
        let mut state = self.lock();
        if state.detached.is_some() {
            return;
        }
        if state.messages.len() >= MAX_MESSAGES {
            state.detached = Some(Detached::Unread);
        } else {
            state.messages.push_back(message);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Says that the stream is no longer attached.
    pub(crate) fn detach(&self, why: Detached) {
        self.lock().detached.get_or_insert(why);
        self.filled.notify_one();
    }

    /// Whether the stream is no longer attached.
    pub(crate) fn is_detached(&self) -> bool {
        self.lock().detached.is_some()
    }

    /// Looks again whether there is anything more to come.
    pub(crate) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Takes up to `count` messages, waiting for the first; none if `done` says that none will come. What was pushed before a
    /// detachment comes before it.
    pub(crate) async fn take(
        &self,
        count: usize,
        done: impl Fn() -> bool,
    ) -> Result<Vec<Message>, Detached> {
        loop {
            // Asked before the look, and without the lock: what was pushed before `done` came true is seen below.
            let done = done();
            {
                let mut state = self.lock();
                if !state.messages.is_empty() {
                    let count = count.min(state.messages.len());
                    return Ok(state.messages.drain(..count).collect());
                }
                if let Some(why) = state.detached {
                    return Err(why);
                }
                if done {
                    return Ok(Vec::new());
                }
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_read_is_told_so_after_what_was_kept_and_nothing_more_is_kept() {
        let outbox = Outbox::default();
        for id in 0..2 * MAX_MESSAGES as u64 {
            outbox.push(Message::Ended(id));
            assert_eq!(outbox.is_detached(), id >= MAX_MESSAGES as u64);
        }
        let kept = outbox.take(usize::MAX, || false).await;
        assert_eq!(kept.map(|kept| kept.len()), Ok(MAX_MESSAGES));
        assert_eq!(outbox.take(1, || false).await, Err(Detached::Unread));
    }
}
