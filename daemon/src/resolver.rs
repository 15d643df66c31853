//! Looking names up with bounds: so many at once, so many waiting, and no caller longer than it wants.
//!
//! Tasks: one thread of the runtime's blocking pool for each look-up that runs. getaddrinfo(3) cannot be interrupted: a look-up
//! whose caller has left goes on, and holds its place, until the host's resolver ends it.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    shutdown::Shutdown,
    sys::resolve::{Answer, GetaddrinfoError, Query, getaddrinfo},
};

/// How many callers may wait for a place.
const MAX_QUEUED: usize = 1024;

/// Looks names up.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// One permit for each caller, those who wait included.
    callers: Semaphore,
    /// One permit for each look-up that runs.
    running: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Why a look-up has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// getaddrinfo(3) failed.
    #[error(transparent)]
    Failed(#[from] GetaddrinfoError),
    /// There are too many callers.
    #[error("{MAX_QUEUED} look-ups are waiting already")]
    Full,
    /// The caller's time is over.
    #[error("the resolver did not answer within the timeout")]
    TimedOut,
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Draining,
}

impl Resolver {
    /// A resolver that runs at most `concurrency` look-ups at once.
    pub(crate) fn new(concurrency: usize, shutdown: Shutdown) -> Self {
        Self {
            callers: Semaphore::new(concurrency.saturating_add(MAX_QUEUED)),
            running: Arc::new(Semaphore::new(concurrency)),
            shutdown,
        }
    }

    /// Looks names up, waiting for at most `timeout`, if there is one.
    pub(crate) async fn resolve(
        &self,
        query: Query,
        timeout: Option<Duration>,
    ) -> Result<Answer, ResolveError> {
        self.bounded(timeout, move || getaddrinfo(&query)).await
    }

    async fn bounded(
        &self,
        timeout: Option<Duration>,
        look_up: impl FnOnce() -> Result<Answer, GetaddrinfoError> + Send + 'static,
    ) -> Result<Answer, ResolveError> {
        let _caller = self.callers.try_acquire().map_err(|_| ResolveError::Full)?;
        let work = async {
            // The semaphore is never closed; if it were, there would be no more look-ups.
            let place = Arc::clone(&self.running)
                .acquire_owned()
                .await
                .map_err(|_| ResolveError::Draining)?;
            tokio::task::spawn_blocking(move || {
                let answer = look_up();
                drop(place);
                answer
            })
            .await
            // The runtime has ended.
            .map_err(|_| ResolveError::Draining)?
            .map_err(ResolveError::Failed)
        };
        let timeout = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.draining() => Err(ResolveError::Draining),
            answer = work => answer,
            () = timeout => Err(ResolveError::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, sync::mpsc, task::Poll};

    use super::*;

    fn empty() -> Answer {
        Answer {
            entries: Vec::new(),
            canonical_name: None,
        }
    }

    #[tokio::test]
    async fn a_look_up_whose_caller_has_left_holds_its_place_until_it_ends() {
        let resolver = Resolver::new(1, Shutdown::new());
        let (end, ended) = mpsc::channel::<()>();
        let timed_out = resolver
            .bounded(Some(Duration::from_millis(1)), move || {
                let _ = ended.recv();
                Ok(empty())
            })
            .await;
        assert!(matches!(timed_out, Err(ResolveError::TimedOut)));
        assert_eq!(resolver.running.available_permits(), 0);

        drop(end);
        let next = resolver.bounded(None, || Ok(empty())).await;
        assert_eq!(next.unwrap(), empty());
    }

    #[tokio::test]
    async fn one_caller_too_many_is_refused_at_once() {
        let resolver = Resolver::new(1, Shutdown::new());
        let _all = resolver
            .callers
            .acquire_many(u32::try_from(1 + MAX_QUEUED).unwrap())
            .await
            .unwrap();
        let refused = resolver.bounded(None, || Ok(empty())).await;
        assert!(matches!(refused, Err(ResolveError::Full)));
    }

    #[tokio::test]
    async fn a_shutdown_ends_those_who_wait() {
        let shutdown = Shutdown::new();
        let resolver = Resolver::new(1, shutdown.clone());
        let _place = resolver.running.acquire().await.unwrap();
        let mut waiting = Box::pin(resolver.bounded(None, || Ok(empty())));
        let still_waits =
            std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(still_waits);
        shutdown.drain();
        assert!(matches!(waiting.await, Err(ResolveError::Draining)));
    }
}
