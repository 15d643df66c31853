//! Closing descriptors: close(2) answers at once, but not if the socket lingers, and nobody else may be stopped by that.
//!
//! Tasks: one for each socket that is closed, tracked, and waited for by [`Closing::end`]. Threads: one for each close that lingers, at most
//! [`MOST_LINGERING`] for an owner. They end with close(2), which [`Closing::end`] does not wait for beyond its time: one that is left
//! to itself ends with the process, and loses nothing, since the kernel sends what it has of an exiting process as well.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{
        Semaphore,
        oneshot::{self, error::RecvError},
    },
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{engine::Owner, sys};

/// How many closes of an owner may linger at once. More wait for one of them to end, each for its own linger time at most.
const MOST_LINGERING: usize = 256;

/// The stack of a thread that does nothing but close(2).
const STACK: usize = 64 << 10;

/// How long [`Closing::end`] waits for closes that wait for nothing any more.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The closes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    tasks: TaskTracker,
    lingering: Arc<Lingering>,
}

/// Those of them that linger.
#[derive(Debug, Default)]
struct Lingering {
    /// Nobody waits for them any more.
    no_longer: CancellationToken,
    permits: Mutex<HashMap<Owner, Arc<Semaphore>>>,
}

impl Closing {
    /// Closes the owner's descriptor when it comes. The returned task ends with close(2)'s answer; nobody need wait for it.
    pub(crate) fn begin(
        &self,
        owner: Owner,
        descriptor: impl Future<Output = Result<OwnedFd, RecvError>> + Send + 'static,
    ) -> JoinHandle<io::Result<()>> {
        let lingering = Arc::clone(&self.lingering);
        self.tasks.spawn(async move {
            let fd = descriptor
                .await
                .map_err(|_gone| io::Error::from(io::ErrorKind::NotFound))?;
            lingering.close(owner, fd).await
        })
    }

    /// Runs what follows closes, such as the word that all of a session are done; waited for as they are.
    pub(crate) fn follow(&self, word: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.tasks.spawn(word)
    }

    /// Closes a descriptor of the owner's: here and now, unless that may take its time.
    pub(crate) fn close(&self, owner: Owner, fd: OwnedFd) {
        let slow =
            sys::socket::linger(fd.as_fd()).is_some() || sys::socket::closes_slowly(fd.as_fd());
        match Handle::try_current() {
            Ok(runtime) if slow => {
                let lingering = Arc::clone(&self.lingering);
                let close = async move { lingering.close(owner, fd).await };
                drop(self.tasks.spawn_on(close, &runtime));
            }
            _ => drop(fd),
        }
    }

    /// How many closes are under way that may take their time.
    pub(crate) fn under_way(&self) -> usize {
        self.tasks.len()
    }

    /// Returns when all are closed, or soon after `no_longer`: what lingers is then closed as if its time were over, or left to its thread.
    /// Nothing is closed here after that.
    pub(crate) async fn end(&self, no_longer: impl Future<Output = ()>) {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => return,
            () = no_longer => {}
        }
        self.lingering.no_longer.cancel();
        if tokio::time::timeout(LAST_MOMENT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(sockets = self.under_way(), "sockets are left to the kernel");
        }
    }
}

impl Lingering {
    /// Closes a descriptor, and stops nobody by it.
    async fn close(&self, owner: Owner, fd: OwnedFd) -> io::Result<()> {
        if let Some(time) = sys::socket::linger(fd.as_fd()) {
            self.linger(owner, fd, time).await
        } else if sys::socket::closes_slowly(fd.as_fd()) {
            tokio::task::spawn_blocking(move || sys::socket::close(fd))
                .await
                .map_err(io::Error::other)?
        } else {
            sys::socket::close(fd)
        }
    }

    /// Closes a descriptor whose close waits up to `time`, even if it is non-blocking: on a thread of its own, since tokio's blocking threads
    /// are for all owners' look-ups as well.
    async fn linger(&self, owner: Owner, fd: OwnedFd, time: Duration) -> io::Result<()> {
        let permit = tokio::select! {
            biased;
            () = self.no_longer.cancelled() => None,
            permit = self.permits(owner).acquire_owned() => permit.ok(),
            () = tokio::time::sleep(time) => None,
        };
        // Taken by the thread once there is one: a thread that was never begun must not drop, and so close, the descriptor here.
        let (give, take) = mpsc::sync_channel(1);
        let (tell, told) = oneshot::channel();
        let begun = permit.and_then(|permit| {
            let close = move || {
                if let Ok(fd) = take.recv() {
                    let closed = sys::socket::close(fd);
                    drop(permit);
                    // Whoever asked may have gone.
                    let _ = tell.send(closed);
                }
            };
            let thread = thread::Builder::new().name("farsockd-close".to_owned());
            thread.stack_size(STACK).spawn(close).ok()
        });
        if begun.is_none() {
            // As at the end of its time: close(2) returns, and the kernel goes on sending.
            sys::socket::set_no_linger(fd.as_fd())?;
            return sys::socket::close(fd);
        }
        give.send(fd).map_err(io::Error::other)?;
        tokio::select! {
            biased;
            closed = told => closed.map_err(io::Error::other)?,
            () = self.no_longer.cancelled() => Ok(()),
        }
    }

    fn permits(&self, owner: Owner) -> Arc<Semaphore> {
        // A map of semaphores is whole at every moment.
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let permits = permits
            .entry(owner)
            .or_insert_with(|| Arc::new(Semaphore::new(MOST_LINGERING)));
        Arc::clone(permits)
    }
}
