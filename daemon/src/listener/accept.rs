//! The accept loop of one listener: it never spins, and never takes more connections than allowed.
//!
//! Tasks: one per connection, on the tracker that [`run`] is given; each has a place and ends as
//! [`connection`](super::connection) says. The loop itself ends when the daemon drains, and closes its listener.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{Arrival, Listener, connection::Connections};
use crate::{health::ListenerState, sys::process};

/// The first and the longest pause after accept(2) failed for want of something that only time brings back.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often the log says the same about connections that are turned away.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// While a listener fails, how often to look whether the process can have a descriptor again, though no connection arrives.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts connections until the daemon drains, while there are `places` for them.
///
/// # Errors
/// The listener accepts nothing any more, such as one that `ss --kill` was used on.
pub(crate) async fn run(
    mut listener: Listener,
    connections: Connections,
    places: Arc<Places>,
    tasks: TaskTracker,
    mut state: ListenerState,
) -> io::Result<()> {
    let mut reserve = Reserve::new();
    let mut pause = FIRST_PAUSE;
    let (mut surplus, mut strangers, mut failures) = (
        Complaints::default(),
        Complaints::default(),
        Complaints::default(),
    );
    loop {
        let arrival = tokio::select! {
            biased;
            () = connections.shutdown().draining() => return Ok(()),
            arrival = listener.accept() => arrival,
            () = tokio::time::sleep(PROBE_INTERVAL), if state.fails() => {
                // Nothing arrives that could fail. The reserve has its own.
                state.set_fails(File::open("/dev/null").is_err());
                continue;
            }
        };
        if arrival.is_ok() {
            state.set_fails(false);
        }
        match arrival {
            Ok(Arrival::Connection(stream, owner, peer)) => {
                pause = FIRST_PAUSE;
                let Some(place) = places.take() else {
                    if let Some(times) = surplus.due(Instant::now()) {
                        warn!(%listener, %peer, times, "connection closed: there are max_connections already");
                    }
                    continue;
                };
                let connections = connections.clone();
                tasks.spawn(async move {
                    debug!(%peer, "connected");
                    match connections.serve(stream, owner).await {
                        Ok(()) => debug!(%peer, "disconnected"),
                        Err(error) => debug!(%peer, %error, "disconnected"),
                    }
                    connections.ended();
                    drop(place);
                });
            }
            Ok(Arrival::Stranger { uid }) => {
                pause = FIRST_PAUSE;
                if let Some(times) = strangers.due(Instant::now()) {
                    warn!(%listener, uid, times, "connection closed: only the daemon's own user and root may connect");
                }
            }
            // The client left before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::NotConnected
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(error) if process::is_no_listener(&error) => {
                state.set_fails(true);
                return Err(error);
            }
            Err(error) => {
                state.set_fails(true);
                if let Some(times) = failures.due(Instant::now()) {
                    warn!(%listener, %error, times, "cannot accept connections");
                }
                if process::is_descriptor_shortage(&error)
                    && reserve.turn_one_away(&mut listener).await
                {
                    continue;
                }
                tokio::select! {
                    () = connections.shutdown().draining() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// The places for connections, which all listeners share.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    most: AtomicUsize,
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
        }
    }

    /// How many there are from now on; a connection that has one keeps it.
    pub(crate) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let most = self.most.load(Ordering::Relaxed);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < most).then_some(taken + 1)
            })
            .ok()?;
        Some(Place(Arc::clone(self)))
    }
}

/// A connection's place.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A descriptor kept for the moment when there is no other: without it, a connection that cannot be accepted stays in the
/// backlog, its client waits in vain, and the listener stays ready for ever.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Accepts one connection in the reserve's place and closes it; false if there was none, or no place.
    async fn turn_one_away(&mut self, listener: &mut Listener) -> bool {
        if self.0.take().is_none() {
            *self = Self::new();
            return false;
        }
        // Another thread may have taken the place, or another process the connection: no reason to wait here.
        let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
        let turned_away = matches!(accepted, Ok(Ok(_)));
        drop(accepted);
        *self = Self::new();
        turned_away
    }
}

/// Lets one complaint through per interval, and counts those in between.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    held_back: u64,
}

impl Complaints {
    /// Whether to complain now, and for how many times.
    fn due(&mut self, now: Instant) -> Option<u64> {
        self.held_back += 1;
        if let Some(last) = self.last
            && now.saturating_duration_since(last) < COMPLAINT_INTERVAL
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_counted_and_said_once_per_interval() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        assert_eq!(complaints.due(start), Some(1));
        assert_eq!(complaints.due(start + Duration::from_secs(1)), None);
        assert_eq!(complaints.due(start + Duration::from_secs(9)), None);
        assert_eq!(complaints.due(start + COMPLAINT_INTERVAL), Some(3));
        assert_eq!(
            complaints.due(start + COMPLAINT_INTERVAL + Duration::from_secs(1)),
            None
        );
    }
}
