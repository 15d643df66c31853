//! Takes connections from a listening socket, and carries each to where its forward says.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    dynamic,
    listener::{self, Accepted, Listener, NotAccepted},
    places::{Place, Places},
    relay::relay,
    session::{Life, Remote, Way},
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
    /// To the daemon's host.
    pub(super) way: Way,
    pub(super) dialing: Dialing,
    pub(super) places: Arc<Places>,
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

/// Accepts on this host without end; ends when it is aborted.
pub(super) async fn here(mut listener: Listener, route: Arc<Route>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    accept(&mut connections, &mut listener, &route, &shared, None).await;
}

/// Accepts on the daemon's host as long as the session lives, and ends when the last connection has told its end.
pub(super) async fn there(
    mut listener: Listener,
    place: listener::Place,
    route: Arc<Route>,
    life: Life,
    shared: Arc<Shared>,
) -> Remote {
    let place = listener.place().cloned().unwrap_or(place);
    let mut connections = JoinSet::new();
    let accepting = accept(
        &mut connections,
        &mut listener,
        &route,
        &shared,
        Some(&life),
    );
    // What is said of the session's end is said by whoever opens the next.
    let _ = life.within(accepting).await;
    while connections.join_next().await.is_some() {}
    (route, place)
}

/// Accepts until nothing will come any more.
async fn accept(
    connections: &mut JoinSet<()>,
    listener: &mut Listener,
    route: &Arc<Route>,
    shared: &Arc<Shared>,
    life: Option<&Life>,
) {
    // A failure that comes again and again is told once, and once when it is over.
    let mut failing = None;
    loop {
        let mut place = shared.places.take().await;
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            // The session's end is told by the session.
            Err(NotAccepted::AnyMore(failure)) if is_over(&failure) => return,
            Err(NotAccepted::ThisTime(failure)) => {
                let text = failure.to_string();
                if failing.as_ref() != Some(&text) {
                    failure.tell();
                    failing = Some(text);
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(NotAccepted::AnyMore(failure)) => return shared.end(failure),
        };
        if failing.take().is_some() {
            output::note(format_args!(
                "{}: connections are accepted again",
                listener.name()
            ));
        }
        // Those that have ended leave only this to be taken.
        while connections.try_join_next().is_some() {}
        let (route, shared, life) = (Arc::clone(route), Arc::clone(shared), life.cloned());
        connections.spawn(async move {
            let life = life.map_or_else(|| shared.way.life(), Ok);
            one(accepted, &route, &shared, life, &mut place).await;
            drop(place);
        });
    }
}

/// One connection, from its beginning to its end.
async fn one(
    accepted: Accepted,
    route: &Route,
    shared: &Shared,
    life: Result<Life, Failure>,
    place: &mut Place,
) {
    let meter = Meter::start();
    let peer = accepted.peer.clone();
    let (side, target) = match &route.goal {
        Goal::Socks => return dynamic::serve(accepted, shared, &meter, place).await,
        Goal::Target(side, target) => (*side, target),
    };
    let connecting = async {
        let life = life?;
        let connecting = side.connect(&life.client, &shared.dialing, target);
        let far = life.within(connecting).await??;
        Ok((life, far))
    };
    let connected = place.connect_for(&accepted.stream, false, connecting);
    match connected.await {
        Some(Ok((life, far))) => {
            let relayed = relay(accepted.stream, far, &meter, life.over()).await;
            shared.ended(&peer, target, &meter, relayed);
        }
        Some(Err(failure)) => shared.not_connected(&peer, target, &failure),
        None => shared.left(&peer, target),
    }
}

impl Shared {
    /// Tells that a connection was not made.
    pub(super) fn not_connected(&self, peer: &str, target: impl fmt::Display, failure: &Failure) {
        failure.tell_as(format_args!("{peer} -> {target}: {failure}"));
    }

    /// Tells that a client did not wait for its connection.
    pub(super) fn left(&self, peer: &str, target: impl fmt::Display) {
        self.note(format_args!(
            "{peer} -> {target}: it left before it was connected"
        ));
    }

    /// Tells a connection's end to whom it interests: everybody, if the daemon ended it, as it does with its session.
    pub(super) fn ended(
        &self,
        peer: &str,
        target: impl fmt::Display,
        meter: &Meter,
        result: Result<(), Failure>,
    ) {
        let why = match result {
            Err(failure @ Failure::Refused { .. }) => {
                return failure.tell_as(format_args!("{peer} -> {target}: {failure}"));
            }
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

/// Whether the session is over, by which all that was done in it is.
pub(super) fn is_over(failure: &Failure) -> bool {
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
