//! A call that is watched: when it starts, when it waits, and when it ran.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use farsock_proto::{
    Violation,
    time::{duration_from_wire, timestamp_to_wire},
    v1,
};
use tokio::sync::Notify;

use crate::{
    convert,
    scope::{SCOPE, Scope},
};

/// A call of any socket, to be started at a certain time, or watched while it waits. Wraps the call's
/// future, and ends as it does; like it, it does nothing before it is polled, and ends the wait when
/// it is dropped.
///
/// ```
/// # use farsock_client::{Client, Operation};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = farsock_daemon::embedded();
/// # let client = Client::connect_with(daemon.connector()).await?;
/// let listener = client.tcp_listener("127.0.0.1:0").await?;
/// let mut accept = Operation::new(listener.accept()).notify_waiting();
/// assert!(accept.waiting().await); // the daemon says so
/// let near = client.tcp_stream(listener.local_addr()).await?;
/// let (far, _) = (&mut accept).await?;
/// assert!(accept.timing().is_some());
/// # Ok(())
/// # }
/// ```
///
/// Takes effect on the stream of a session; calls of a client without one
/// ([`Builder::unary`](crate::Builder::unary)) are made as they are.
#[must_use = "does nothing unless awaited"]
pub struct Operation<'a, T> {
    /// Dropped first: a connection is given back before its socket is closed.
    unreceived: Unreceived,
    call: Call<'a, T>,
    scope: Arc<Scope>,
    output: Option<T>,
}

/// Gives back what the call took, if nobody has received its output when this is dropped.
struct Unreceived(Arc<Scope>);

impl Drop for Unreceived {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// The future of a call, within its scope.
type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// When an operation ran, by the daemon's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// CLOCK_REALTIME at its start.
    pub start_time: SystemTime,
    /// CLOCK_MONOTONIC at its start.
    pub start: Duration,
    /// CLOCK_MONOTONIC at its end.
    pub end: Duration,
    /// How long it waited for readiness or for its turn.
    pub waited: Duration,
    /// How long after its [`start_at`](Operation::start_at) it started; `None` if it had none.
    pub late: Option<Duration>,
}

impl<'a, T> Operation<'a, T> {
    /// Watches a call, such as `listener.accept()`. Of several calls in one future, what is set here
    /// holds for each, and what is told is of the last.
    pub fn new(call: impl Future<Output = T> + Send + 'a) -> Self {
        let scope = Arc::new(Scope::default());
        Self {
            unreceived: Unreceived(Arc::clone(&scope)),
            call: Box::pin(SCOPE.scope(Arc::clone(&scope), call)),
            scope,
            output: None,
        }
    }

    /// Starts the call not before `time` by the daemon's clock, at most an hour ahead: within microseconds of it, if the daemon's host has a
    /// core free. [`Timing::late`] tells how late it really was. The client's [`timeout`](crate::Builder::timeout) counts from `time` on.
    ///
    /// The call is on its way once it was polled, and it has reached the daemon when a later call of the same client has been answered, such
    /// as [`RemoteSocket::info`](crate::RemoteSocket::info): so a test knows that all its hosts are ready before the time comes.
    pub fn start_at(self, time: SystemTime) -> Self {
        self.scope
            .set(|extras| extras.start_time = Some(timestamp_to_wire(time)));
        self
    }

    /// Lets [`waiting`](Self::waiting) tell that the call waits.
    pub fn notify_waiting(self) -> Self {
        self.scope
            .set(|extras| extras.waiting = Some(Arc::new(Notify::new())));
        self
    }

    /// Makes the call, until the daemon says that it truly waits: the kernel has nothing for it yet,
    /// or others are before it. False if it has ended instead. For a call with
    /// [`notify_waiting`](Self::notify_waiting); any other is made to its end.
    pub async fn waiting(&mut self) -> bool {
        if self.output.is_some() {
            return false;
        }
        let Some(waiting) = self.scope.waiting() else {
            self.output = Some(self.call.as_mut().await);
            return false;
        };
        tokio::select! {
            biased;
            output = &mut self.call => {
                self.output = Some(output);
                false
            }
            () = waiting.notified() => true,
        }
    }

    /// When the operation ran; `None` before its end, of a client without a session, and of an
    /// operation that never ran.
    #[must_use]
    pub fn timing(&self) -> Option<Timing> {
        timing(self.scope.timing()?).ok()
    }

    /// The same operation with something more around its call.
    pub(crate) fn wrapped<F>(self, wrap: impl FnOnce(Call<'a, T>) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'a,
    {
        Self {
            call: Box::pin(wrap(self.call)),
            ..self
        }
    }

    /// Starts the call now, after the operation of that request id, and tells its own.
    pub(crate) fn start_after(&mut self, id: u64) -> u64 {
        self.scope.set(|extras| extras.after = id);
        let mut context = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(output) = self.call.as_mut().poll(&mut context) {
            self.output = Some(output);
        }
        self.scope.last_id()
    }
}

/// Nothing is pinned within it: the call has a box of its own.
impl<T> Unpin for Operation<'_, T> {}

impl<T> Future for Operation<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let polled = match self.output.take() {
            Some(output) => Poll::Ready(output),
            None => self.call.as_mut().poll(context),
        };
        if polled.is_ready() {
            self.unreceived.0.accept();
        }
        polled
    }
}

impl<T> fmt::Debug for Operation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("scope", &self.scope)
            .field("ended", &self.output.is_some())
            .finish_non_exhaustive()
    }
}

fn timing(wire: v1::OperationTiming) -> Result<Timing, Violation> {
    Ok(Timing {
        start_time: convert::time("start_time", wire.start_time)?,
        start: convert::span("start", wire.start)?,
        end: convert::span("end", wire.end)?,
        waited: convert::span("waited", wire.waited)?,
        late: wire.late.map(duration_from_wire).transpose()?,
    })
}
