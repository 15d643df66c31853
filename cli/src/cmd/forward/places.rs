//! How many connections are carried at once, and what becomes of a client that may have left before its connection was made.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    output,
    traffic::duplex::{Left, Stream},
};

/// Connections that are carried at once. Those beyond wait in the kernel's backlog, and of -R the first few accepted ahead.
pub(super) const CONNECTIONS: usize = 1_024;
/// Free places by which it is over that there was none: one that comes and goes is no news.
const ROOM_AGAIN: usize = CONNECTIONS / 8;
/// Clients that may wait for their connections though they will send no more, and so may have left. They have no place.
const HALF_CLOSED: usize = 64;

/// Raises the soft limit of open descriptors to the hard one, as far as the system lets it: a connection takes one at least. Corresponds to
/// setrlimit(2).
pub(super) fn raise_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Places for connections.
pub(super) struct Places {
    permits: Arc<Semaphore>,
    /// That there was none free was said, and not yet that there are some again.
    is_full: AtomicBool,
    /// Ends the wait of each half-closed client, the oldest first.
    half_closed: Mutex<VecDeque<oneshot::Sender<()>>>,
}

/// A place, free again when it is dropped.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            is_full: AtomicBool::new(false),
            half_closed: Mutex::default(),
        })
    }

    /// Waits for a place. Says once that there is none, and once that there are some again.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    output::note(format_args!(
                        "{CONNECTIONS} connections are carried, which is the most; others wait until some have ended"
                    ));
                }
                // Fails only if it is closed, which it never is.
                Arc::clone(&self.permits).acquire_owned().await.ok()
            }
        };
        Place {
            permit,
            places: Arc::clone(self),
        }
    }

    /// A half-closed client's wait, which ends when later ones are too many.
    fn wait_half_closed(&self) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        let mut waiting = self
            .half_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| !one.is_closed());
        if waiting.len() == HALF_CLOSED {
            waiting.pop_front();
        }
        waiting.push_back(end);
        ended
    }

    fn look_for_room(&self) {
        if self.permits.available_permits() >= ROOM_AGAIN
            && self.is_full.swap(false, Ordering::Relaxed)
        {
            output::note("there is room for connections again");
        }
    }
}

impl Place {
    /// Connects for a client, unless that leaves before: then there is none, and the place is free.
    ///
    /// A TCP client that has ended its sending direction may wait for an answer, or may have left altogether: nothing tells which. It waits
    /// without a place, together with at most [`HALF_CLOSED`] others, and takes one when its connection is made. `listens`: such a client
    /// has said nothing yet that an answer could be to, so that it has left.
    pub(super) async fn connect_for<T>(
        &mut self,
        client: &Stream,
        listens: bool,
        connecting: impl Future<Output = T>,
    ) -> Option<T> {
        let mut connecting = pin!(connecting);
        let left = tokio::select! {
            biased;
            connected = &mut connecting => return Some(connected),
            left = client.left(true) => left,
        };
        self.free();
        if matches!(left, Left::Gone) || listens && left == (Left::Half { unread: false }) {
            return None;
        }
        let evicted = self.places.wait_half_closed();
        let places = Arc::clone(&self.places);
        tokio::select! {
            biased;
            (connected, place) = async { (connecting.await, places.take().await) } => {
                *self = place;
                Some(connected)
            }
            _ = evicted => None,
            _ = client.left(false) => None,
        }
    }

    fn free(&mut self) {
        if self.permit.take().is_some() {
            self.places.look_for_room();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn that_all_places_are_taken_is_said_once_and_that_some_are_free_once_again() {
        let places = Places::new();
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS {
            taken.push(places.take().await);
        }
        assert!(!places.is_full.load(Ordering::Relaxed), "nobody waits");
        for _ in 0..3 {
            let waiting = places.take();
            let mut waiting = pin!(waiting);
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("there is none"),
                () = std::future::ready(()) => {}
            }
            assert!(places.is_full.load(Ordering::Relaxed));
            taken.pop();
            let _place = waiting.await;
            taken.push(_place);
        }
        taken.truncate(CONNECTIONS - ROOM_AGAIN + 1);
        assert!(places.is_full.load(Ordering::Relaxed), "not yet");
        taken.pop();
        assert!(!places.is_full.load(Ordering::Relaxed));
    }

    #[test]
    fn of_too_many_half_closed_clients_the_oldest_waits_no_more() {
        let places = Places::new();
        let mut waiting: Vec<_> = (0..HALF_CLOSED)
            .map(|_| places.wait_half_closed())
            .collect();
        assert!(
            waiting[0]
                .try_recv()
                .is_err_and(|why| why == oneshot::error::TryRecvError::Empty)
        );
        let _last = places.wait_half_closed();
        assert!(
            waiting[0]
                .try_recv()
                .is_err_and(|why| why == oneshot::error::TryRecvError::Closed)
        );
        // Who has gone takes no room.
        waiting.truncate(1);
        let mut next = places.wait_half_closed();
        for _ in 0..HALF_CLOSED - 2 {
            std::mem::forget(places.wait_half_closed());
        }
        assert!(
            next.try_recv()
                .is_err_and(|why| why == oneshot::error::TryRecvError::Empty)
        );
    }
}
