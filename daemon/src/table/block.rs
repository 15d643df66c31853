//! A block of handle numbers that the client of one session assigns itself, as clients of X11 and Wayland assign object ids.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

use super::Handle;
use crate::{
    error::{Error, Result},
    id_set::IdSet,
};

/// How many numbers a block has.
pub(crate) const BLOCK: u64 = 1 << 32;

/// The numbers of one session, and the mark by which its sockets are known as the session's.
#[derive(Debug)]
pub(crate) struct Block {
    session_id: String,
    first: u64,
    state: Mutex<State>,
    /// What the journal has yet to be told of that is done in the session; closed at its end.
    pub(crate) entries: TaskTracker,
}

#[derive(Debug)]
struct State {
    used: IdSet,
    ended: bool,
}

impl Block {
    /// The numbers from `first` on, for the session of that id.
    pub(crate) fn new(session_id: String, first: u64) -> Arc<Self> {
        Arc::new(Self {
            session_id,
            first,
            state: Mutex::new(State {
                used: IdSet::default(),
                ended: false,
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

    /// Claims a number for a socket to come. Claimed is used, unless the claim is dropped before there is a socket.
    pub(crate) fn claim(self: &Arc<Self>, number: u64) -> Result<Claim> {
        if !(self.first..self.first + BLOCK).contains(&number) {
            return Err(Error::HandleOutOfBlock(Handle(number)));
        }
        if !self.lock().used.insert_used(number) {
            return Err(Error::HandleInUse(Handle(number)));
        }
        Ok(Claim {
            block: Arc::clone(self),
            number,
            kept: false,
        })
    }

    /// The session is over: it gets no more sockets.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    /// Whether the session is over.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
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
