//! What is to be said to an attached stream: names of results, not results, so that it is bounded by what the ledger holds.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Refusal;

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
    /// The client sends what is refused and does not read why.
    Unread,
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
    refusals: usize,
    detached: Option<Detached>,
}

/// How many refusals may wait to be read: no ledger bounds those.
const MAX_REFUSALS: usize = 16_384;

impl Outbox {
    /// Adds a message.
    pub(crate) fn push(&self, message: Message) {
        let mut state = self.lock();
        if matches!(message, Message::Refused(..)) {
            state.refusals += 1;
            if state.refusals > MAX_REFUSALS {
                state.detached.get_or_insert(Detached::Unread);
            }
        }
        state.messages.push_back(message);
        drop(state);
        self.filled.notify_one();
    }

    /// Says that the stream is no longer attached.
    pub(crate) fn detach(&self, why: Detached) {
        self.lock().detached.get_or_insert(why);
        self.filled.notify_one();
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
                    let messages: Vec<_> = state.messages.drain(..count).collect();
                    state.refusals -= messages
                        .iter()
                        .filter(|message| matches!(message, Message::Refused(..)))
                        .count();
                    return Ok(messages);
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
