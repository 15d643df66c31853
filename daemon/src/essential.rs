//! Tasks that the daemon cannot do without: one that ends ends the daemon.
//!
//! A panic ends only the task that it happens in. Without its accept loop, the reactor or the task that ends leases the daemon would go on by
//! halves, and look healthy. So each of these is watched, and [`Server::run`](crate::server::Server::run) ends in order when one has ended.

use std::{
    sync::{Arc, OnceLock},
    thread,
};

use tokio_util::sync::CancellationToken;

/// The end of a task that should not have ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} {how}; the daemon cannot go on without it")]
pub struct EssentialEnded {
    task: String,
    how: String,
}

impl EssentialEnded {
    /// The end of a task by a panic, which was reported where it happened.
    #[must_use]
    pub fn panicked(task: &'static str) -> Self {
        Self {
            task: task.to_owned(),
            how: "panicked".to_owned(),
        }
    }
}

/// Watches the essential tasks of one daemon. Clones are the same watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Essential(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    first: OnceLock<EssentialEnded>,
    ended: CancellationToken,
}

impl Essential {
    /// `future`, whose end is reported as that of `task`, however it comes about: its return, a panic, or that it is dropped.
    pub(crate) fn watch<F: Future>(
        &self,
        task: &'static str,
        future: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let guard = self.guard(task);
        async move {
            let output = future.await;
            drop(guard);
            output
        }
    }

    /// Reports the end of `task` when the guard is dropped, unless [`Guard::end`] was called.
    pub(crate) fn guard(&self, task: impl Into<String>) -> Guard {
        Guard {
            essential: self.clone(),
            task: Some(task.into()),
        }
    }

    /// The first task that has ended.
    pub(crate) fn ended(&self) -> Option<EssentialEnded> {
        self.0.first.get().cloned()
    }

    /// Waits until a task has ended.
    pub(crate) async fn any_ended(&self) {
        self.0.ended.cancelled().await;
    }

    fn report(&self, task: String, how: String) {
        // One that ends later may have ended because of the first.
        let _ = self.0.first.set(EssentialEnded { task, how });
        self.0.ended.cancel();
    }
}

/// Lives as long as an essential task.
#[derive(Debug)]
pub(crate) struct Guard {
    essential: Essential,
    task: Option<String>,
}

impl Guard {
    /// The task has ended: as it should, or with why it cannot go on.
    pub(crate) fn end<E: ToString>(mut self, outcome: Result<(), E>) {
        if let (Some(task), Err(error)) = (self.task.take(), outcome) {
            self.essential
                .report(task, format!("cannot go on: {}", error.to_string()));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            let how = if thread::panicking() {
                "panicked"
            } else {
                "ended"
            };
            self.essential.report(task, how.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn how(essential: &Essential) -> String {
        let ended = essential.ended().expect("one has ended");
        ended.to_string().split(';').next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn however_a_task_ends_its_end_is_reported() {
        let essential = Essential::default();
        tokio::spawn(essential.watch("the task", async {}));
        essential.any_ended().await;
        assert_eq!(how(&essential), "the task ended");

        let essential = Essential::default();
        tokio::spawn(essential.watch("the task", async { panic!("on purpose") }));
        essential.any_ended().await;
        assert_eq!(how(&essential), "the task panicked");

        let essential = Essential::default();
        tokio::spawn(essential.watch("the task", pending::<()>())).abort();
        essential.any_ended().await;
        assert_eq!(how(&essential), "the task ended");
    }

    #[test]
    fn an_end_that_was_meant_is_none_and_the_first_is_the_one_that_counts() {
        let essential = Essential::default();
        essential.guard("one").end(Ok::<(), String>(()));
        assert_eq!(essential.ended(), None);
        essential.guard("two").end(Err("it is broken"));
        drop(essential.guard("three"));
        assert_eq!(how(&essential), "two cannot go on: it is broken");
    }
}
