//! Takes connections from a listening socket, and carries each to where its forward says.

use std::{fmt, sync::Arc, time::Duration};

use farsock_client::Client;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    dynamic,
    listener::{Accepted, Listener, NotAccepted},
    relay::relay,
    side::Side,
    spec::Target,
};
use crate::{
    exit::Failure,
    output,
    traffic::{dial::Dialing, meter::Meter},
};

/// How long to wait after a failure to accept, which for want of descriptors would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What all forwards share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) dialing: Dialing,
    pub(super) permits: Arc<Semaphore>,
    pub(super) verbose: bool,
    /// Takes the failure that ends the command.
    pub(super) fatal: mpsc::Sender<Failure>,
}

/// One forward.
pub(super) struct Route {
    pub(super) letter: &'static str,
    pub(super) goal: Goal,
}

/// Where its connections go.
pub(super) enum Goal {
    /// To a target of a side.
    Target(Side, Target),
    /// Where each asks to go, from the daemon's host.
    Socks,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(_, target) => target.fmt(f),
            Self::Socks => f.write_str("SOCKS 5"),
        }
    }
}

/// Accepts without end; ends when it is aborted, or after a failure after which nothing will come any more.
pub(super) async fn all(mut listener: Listener, route: Arc<Route>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let permits = Arc::clone(&shared.permits);
        let permit = permits.acquire_owned().await;
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(NotAccepted::ThisTime(failure)) => {
                output::error(failure);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(NotAccepted::AnyMore(failure)) => return shared.end(failure),
        };
        // Those that have ended leave only this to be taken.
        while connections.try_join_next().is_some() {}
        let (route, shared) = (Arc::clone(&route), Arc::clone(&shared));
        connections.spawn(async move {
            one(accepted, &route, &shared).await;
            drop(permit);
        });
    }
}

/// One connection, from its beginning to its end.
async fn one(accepted: Accepted, route: &Route, shared: &Shared) {
    let meter = Meter::start();
    let peer = accepted.peer.clone();
    match &route.goal {
        Goal::Socks => dynamic::serve(accepted, shared, &meter).await,
        Goal::Target(side, target) => {
            let connected = side.connect(&shared.client, &shared.dialing, target).await;
            match connected {
                Ok(far) => {
                    let result = relay(accepted.stream, far, &meter).await;
                    shared.ended(&peer, target, &meter, result);
                }
                Err(failure) => shared.not_connected(&peer, target, failure),
            }
        }
    }
}

impl Shared {
    /// Tells that a connection was not made, and ends the command if none can be.
    pub(super) fn not_connected(&self, peer: &str, target: impl fmt::Display, failure: Failure) {
        if is_fatal(&failure) {
            return self.end(failure);
        }
        output::error(format_args!("{peer} -> {target}: {failure}"));
    }

    /// Tells a connection's end to whom it interests.
    pub(super) fn ended(
        &self,
        peer: &str,
        target: impl fmt::Display,
        meter: &Meter,
        result: Result<(), Failure>,
    ) {
        let why = match result {
            Err(failure) if is_fatal(&failure) => return self.end(failure),
            Err(failure) => format!("; {failure}"),
            Ok(()) => String::new(),
        };
        if self.verbose {
            output::note(format_args!("{peer} -> {target}: {meter}{why}"));
        }
    }

    /// Tells something that is of no consequence.
    pub(super) fn note(&self, text: impl fmt::Display) {
        if self.verbose {
            output::note(text);
        }
    }

    fn end(&self, failure: Failure) {
        // The first has said it.
        let _ = self.fatal.try_send(failure);
    }
}

/// Whether nothing can be done through the daemon any more: the session is over.
fn is_fatal(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { name, .. } => {
            matches!(
                name.as_str(),
                "SESSION_EXPIRED" | "SESSION_NOT_FOUND" | "INSTANCE_CHANGED"
            )
        }
        _ => false,
    }
}
