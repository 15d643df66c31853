//! The command's session with the daemon, and the next one when it is over.
//!
//! Tasks: one for each listener of the daemon's host, owned by its session's [`Tasks`]; it ends with the session.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use farsock_client::{Client, SessionOptions, SessionState, SessionWatch};
use tokio::task::JoinSet;

use super::{
    accept::{self, Route, Shared},
    listener::{Listener, Place},
};
use crate::{exit::Failure, output};

/// How long to wait until what was refused is tried again: at first, and in the end.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A session, as long as it lives: what is done in it ends with it.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) client: Client,
    watch: SessionWatch,
}

/// The way to the daemon's host: the session of the moment, or why there is none.
pub(super) struct Way(Mutex<Result<Life, String>>);

/// The tasks of a session: each tells at its end what the next session is to take up.
pub(super) type Tasks = JoinSet<Remote>;

/// A forward that listens on the daemon's host, and where.
pub(super) type Remote = (Arc<Route>, Place);

impl Life {
    pub(super) fn of(client: &Client) -> Result<Self, Failure> {
        let none = || Failure::Local("the client has no session".to_owned());
        Ok(Self {
            client: client.clone(),
            watch: client.watch_session().ok_or_else(none)?,
        })
    }

    /// Does something until it is done or the session is over, which is then told.
    pub(super) async fn within<T>(&self, done: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            // What has ended has ended in its own way.
            biased;
            done = done => Ok(done),
            why = self.over() => Err(why),
        }
    }

    /// Waits until the session is over, and tells why.
    pub(super) async fn over(&self) -> Failure {
        let mut watch = self.watch.clone();
        let why = watch.over().await;
        Failure::of("session".to_owned(), &why)
    }
}

impl Way {
    pub(super) fn by(life: Life) -> Self {
        Self(Mutex::new(Ok(life)))
    }

    /// The session of the moment.
    pub(super) fn life(&self) -> Result<Life, Failure> {
        let life = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        life.clone().map_err(Failure::Unreachable)
    }

    /// Sets it, and tells what it was before.
    fn set(&self, life: Result<Life, String>) -> Result<Life, String> {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut way, life)
    }
}

/// Follows the session until it is over, and tells why.
pub(super) async fn follow(life: &Life, shared: &Shared) -> Failure {
    let mut watch = life.watch.clone();
    loop {
        match watch.changed().await {
            SessionState::Over(why) => return Failure::of("session".to_owned(), &why),
            SessionState::Away(why) => {
                let away = format!("the daemon is away: {}", crate::exit::bare_text(&why));
                // Before it is said: whoever has read it finds it so.
                if shared.way.set(Err(away.clone())).is_ok() {
                    Failure::Unreachable(away.clone()).tell_as(format_args!(
                        "{away}; it is tried again, and until then new connections are reset"
                    ));
                }
            }
            _ => {
                if shared.way.set(Ok(life.clone())).is_err() {
                    output::note("the daemon is back, and nothing is lost");
                }
            }
        }
    }
}

/// Opens the next session, however long it takes, and listens again where the one before did.
pub(super) async fn next(
    before: &Life,
    why: &Failure,
    mut tasks: Tasks,
    shared: &Arc<Shared>,
) -> Result<(Life, Tasks), Failure> {
    let _ = shared.way.set(Err("the daemon is away".to_owned()));
    why.tell_as(format_args!(
        "{why}; another is opened, and until then new connections are reset"
    ));
    let mut remotes = Vec::new();
    // Each has told its connections' end.
    while let Some(ended) = tasks.join_next().await {
        remotes.extend(ended.ok());
    }
    let mut retry = Retry::new();
    let session = loop {
        let options = SessionOptions::new().label("forward");
        match before.client.open_session_when_reachable(options).await {
            Ok(session) => break session,
            Err(error) => {
                let failure = Failure::of("open session".to_owned(), &error);
                retry.after(&failure).await;
            }
        }
    };
    let life = Life::of(session.client())?;
    let _ = shared.way.set(Ok(life.clone()));
    output::note("the daemon is back, with a new session");
    for remote in remotes {
        tasks.spawn(again(remote, life.clone(), Arc::clone(shared)));
    }
    Ok((life, tasks))
}

/// Listens on the daemon's host where the session before did, as soon as it can be, and serves what comes.
async fn again((route, place): Remote, life: Life, shared: Arc<Shared>) -> Remote {
    let listening = async {
        let mut retry = Retry::new();
        loop {
            match Listener::again(&life.client, &place).await {
                Ok(listener) => return listener,
                Err(failure) => retry.after(&failure).await,
            }
        }
    };
    match life.within(listening).await {
        Ok(listener) => {
            output::note(format_args!("{} {place} listens again", route.letter));
            accept::there(listener, place, route, life, shared).await
        }
        Err(_) => (route, place),
    }
}

/// Waits that double, and what was said before them.
struct Retry {
    wait: Duration,
    said: String,
}

impl Retry {
    fn new() -> Self {
        Self {
            wait: RETRY.0,
            said: String::new(),
        }
    }

    /// Tells the failure, unless it is the same again or the session's end, and waits.
    async fn after(&mut self, failure: &Failure) {
        let text = failure.to_string();
        if text != self.said && !accept::is_over(failure) {
            failure.tell_as(format_args!("{text}; it is tried again"));
            self.said = text;
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(RETRY.1);
    }
}
