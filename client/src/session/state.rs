//! How a client's session stands: for programs that are to go on after its end.

use tokio::sync::watch;

use crate::{
    Client, Error,
    stream::{TRIED, expired},
};

/// How a client's session stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionState {
    /// Calls go out at once. So it is at first, and also for the moment in which a broken connection is made again.
    Attached,
    /// The connection broke, and coming back failed, as the error says. The client goes on trying, and calls wait, until the daemon is
    /// back or the lease is over.
    Away(Error),
    /// The session is over, and its sockets are gone. Every call ends with this error: mostly
    /// [`Reason::SessionExpired`](crate::Reason::SessionExpired).
    Over(Error),
}

/// Follows the states of a client's session; see [`Client::watch_session`]. Clones follow for themselves.
#[derive(Clone, Debug)]
pub struct SessionWatch {
    states: watch::Receiver<SessionState>,
}

impl Client {
    /// Follows how the client's session stands. None of a client without one. Does not keep the session: it is over when the last
    /// client is dropped.
    #[must_use]
    pub fn watch_session(&self) -> Option<SessionWatch> {
        let states = self.stream()?.watch();
        Some(SessionWatch { states })
    }
}

impl SessionWatch {
    /// How the session stands now.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.states.borrow().clone()
    }

    /// Waits until it stands otherwise than this or [`changed`](Self::changed) told last, and tells how; states in between may be left
    /// out. Once it is over, that is told again and again. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> SessionState {
        if !matches!(*self.states.borrow(), SessionState::Over(_)) {
            let driven = self.states.changed().await.is_ok();
            if !driven && !matches!(*self.states.borrow(), SessionState::Over(_)) {
                let why = expired("the client's runtime has ended");
                return SessionState::Over(Error::from_status(TRIED, &why));
            }
        }
        self.states.borrow_and_update().clone()
    }

    /// Waits until the session is over, and tells why.
    pub async fn over(&mut self) -> Error {
        loop {
            if let SessionState::Over(why) = self.changed().await {
                return why;
            }
        }
    }
}
