//! Turns: an operation runs where its turn has come, and its end brings the turns of those that were to follow it.
//!
//! Tasks: one for each operation that did not end at its first poll. The session's end cancels what it waits for; it holds nothing that
//! outlives it.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::task::unconstrained;

use super::{
    Ended, Message, Session,
    by_id::trim,
    job::{Finished, Job, NotRun},
    ledger::Released,
};

/// An operation whose turn has come.
#[derive(Debug)]
pub(super) struct Turn<R> {
    pub(super) id: u64,
    pub(super) job: Job<R>,
    /// Why it does not run.
    pub(super) skip: Option<NotRun>,
}

impl<R: Clone + Send + 'static> Session<R> {
    /// Takes turns in order, and then those that their ends release. A loop and not recursion: a chain may be long.
    pub(super) fn take_turns(self: &Arc<Self>, turns: Vec<Turn<R>>) {
        let mut turns = VecDeque::from(turns);
        while let Some(turn) = turns.pop_front() {
            turns.extend(self.take_turn(turn));
        }
    }

    /// Runs an operation up to its first wait, and returns whose turn it is if it has ended. What waits goes on in a task of its own.
    ///
    /// The first poll is made here and not in a task, since operations take effect in the order in which they arrived.
    pub(super) fn take_turn(self: &Arc<Self>, turn: Turn<R>) -> Vec<Turn<R>> {
        let Turn { id, job, skip } = turn;
        if let Some(why) = skip {
            return self.finish(id, (job.fail)(id, why));
        }
        let mut running = job.running;
        // Whatever the connection's task has done before: without budget the operation would not get to its socket's queue here, and
        // those that follow would overtake it.
        let mut first = unconstrained(running.as_mut());
        match Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(finished) => self.finish(id, finished),
            Poll::Pending => {
                let session = Arc::clone(self);
                // Ends with the operation, which the session's end cancels.
                tokio::spawn(async move {
                    let finished = running.await;
                    let released = session.finish(id, finished);
                    session.take_turns(released);
                });
                Vec::new()
            }
        }
    }

    /// Keeps a result, tells it, and returns whose turn it is then.
    fn finish(self: &Arc<Self>, id: u64, finished: Finished<R>) -> Vec<Turn<R>> {
        let mut state = self.lock();
        let Some(operation) = state.under_way.remove(&id) else {
            // The session has ended, and its ledger with it.
            return Vec::new();
        };
        let undo = operation.watch.undo();
        let Finished {
            result,
            bytes,
            succeeded,
        } = match undo.is_undone() {
            // Between its answer and here.
            true => (operation.fail)(id, NotRun::Cancelled),
            false => finished,
        };
        let can_be_undone = succeeded && undo.can_be_undone();
        trim(&mut state.under_way);
        let answers: Vec<_> = operation
            .waiters
            .into_iter()
            .filter(|waiter| !waiter.is_closed())
            .map(|waiter| (waiter, result.clone()))
            .collect();
        let ended = Ended {
            result,
            undo: can_be_undone.then_some((operation.watch, operation.fail)),
        };
        let released = state.ledger.end(id, ended, bytes, succeeded);
        state.tell(Message::Ended(id));
        let turns = released
            .into_iter()
            .flatten()
            .filter_map(|Released { id: next, start }| {
                Some(Turn {
                    id: next,
                    job: state.under_way.get_mut(&next)?.held.take()?,
                    skip: (!start).then_some(NotRun::DependencyFailed(id)),
                })
            })
            .collect();
        drop(state);
        for (waiter, result) in answers {
            // One that is gone asks again under the same id.
            drop(waiter.send(result));
        }
        turns
    }
}
