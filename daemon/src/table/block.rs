//! A block of handle numbers that the client of one session assigns itself, as clients of X11 and Wayland assign object ids.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::task::TaskTracker;

use super::Handle;
use crate::{
    error::{Error, Result},
    id_set::IdSet,
};

/// How many numbers a block has: enough for 4,000 sockets a second over an hour. Blocks are never used again, and this many numbers
/// for each leave room for 500 million sessions below [`MOST_HANDLES`](super::MOST_HANDLES).
pub(crate) const BLOCK: u64 = 1 << 24;

/// The numbers of one session, and which sockets are the session's.
#[derive(Debug)]
pub(crate) struct Block {
    session_id: String,
    first: u64,
    at_daemons_end: Aftermath,
    state: Mutex<State>,
    /// What the journal has yet to be told of that is done in the session; closed at its end.
    pub(crate) entries: TaskTracker,
}

#[derive(Debug)]
struct State {
    used: IdSet,
    /// Set at the session's end; then `sockets` is empty and stays so.
    ended: Option<Aftermath>,
    /// The handles of the session's sockets, whichever numbers they have.
    sockets: BTreeSet<Handle>,
}

/// What happens to the sockets of a session at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// They are closed in good order.
    Close,
    /// TCP connections are reset.
    Abort,
}

impl Block {
    /// The numbers from `first` on, for the session of that id.
    pub(crate) fn new(session_id: String, first: u64, at_daemons_end: Aftermath) -> Arc<Self> {
        Arc::new(Self {
            session_id,
            first,
            at_daemons_end,
            state: Mutex::new(State {
                used: IdSet::default(),
                ended: None,
                sockets: BTreeSet::new(),
            }),
            entries: TaskTracker::new(),
        })
    }

    /// The session's id.
    pub(crate) fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The first number.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// What the daemon's end does to its sockets.
    pub(crate) fn at_daemons_end(&self) -> Aftermath {
        self.at_daemons_end
    }

    /// Claims a number for a socket to come. Claimed is used, unless the claim is dropped before there is a socket.
    pub(crate) fn claim(self: &Arc<Self>, number: u64) -> Result<Claim> {
        if !(self.first..self.first + BLOCK).contains(&number) {
            return Err(Error::HandleOutOfBlock(Handle(number)));
        }
        let mut state = self.lock();
        if state.ended.is_some() {
            return Err(Error::SessionExpired);
        }
        if !state.used.insert_used(number) {
            return Err(Error::HandleInUse(Handle(number)));
        }
        drop(state);
        Ok(Claim {
            block: Arc::clone(self),
            number,
            kept: false,
        })
    }

    /// Counts a socket among the session's.
    ///
    /// # Errors
    /// The session is over, and what its end does with its sockets.
    pub(super) fn add(&self, handle: Handle) -> Result<(), Aftermath> {
        let mut state = self.lock();
        match state.ended {
            Some(aftermath) => Err(aftermath),
            None => {
                state.sockets.insert(handle);
                Ok(())
            }
        }
    }

    /// A socket is no longer the session's.
    pub(super) fn remove(&self, handle: Handle) {
        self.lock().sockets.remove(&handle);
    }

    /// How many sockets the session has.
    pub(crate) fn sockets(&self) -> usize {
        self.lock().sockets.len()
    }

    /// The session is over: it gets no more sockets. Returns those that it has.
    pub(super) fn end(&self, aftermath: Aftermath) -> BTreeSet<Handle> {
        let mut state = self.lock();
        state.ended.get_or_insert(aftermath);
        mem::take(&mut state.sockets)
    }

    /// Whether the session is over.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that is kept for a socket to come; free again when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    block: Arc<Block>,
    number: u64,
    kept: bool,
}

impl Claim {
    /// The socket is there.
    pub(super) fn keep(mut self) -> Handle {
        self.kept = true;
        Handle(self.number)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            self.block.lock().used.remove(self.number);
        }
    }
}
