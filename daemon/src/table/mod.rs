//! The table that owns every socket. A handle is only a name for an entry of it.

mod block;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(crate) use self::block::{BLOCK, Block, Claim};
use crate::{
    engine::Owner,
    error::{Error, Result},
    socket::Socket,
};

/// The name of a socket: counted up from 1, never used again while the daemon lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle(pub(crate) u64);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All sockets of all owners.
#[derive(Debug)]
pub(crate) struct Table {
    /// Entries plus reservations; never more than `limit`.
    taken: AtomicUsize,
    limit: usize,
    entries: Mutex<Entries>,
}

/// Invariant: every key is below `next`, or was claimed in a block below `next_block`, so that no handle is given out twice.
#[derive(Debug)]
struct Entries {
    next: u64,
    next_block: u64,
    sockets: BTreeMap<Handle, Arc<Socket>>,
}

impl Table {
    /// An empty table for at most `limit` sockets.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            limit,
            entries: Mutex::new(Entries {
                next: 1,
                next_block: BLOCK,
                sockets: BTreeMap::new(),
            }),
        }
    }

    /// Reserves room for one socket *before* the kernel is asked for it, so that a full table costs no connection.
    pub(crate) fn reserve(&self) -> Result<Reservation<'_>> {
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < self.limit).then_some(taken + 1)
            })
            .map_err(|_full| Error::QuotaExceeded {
                limit: self.limit,
                what: "handles",
            })?;
        Ok(Reservation { table: self })
    }

    /// The owner's socket of that name. For anyone else it does not exist.
    pub(crate) fn get(&self, handle: Handle, owner: Owner) -> Result<Arc<Socket>> {
        self.lock()
            .sockets
            .get(&handle)
            .filter(|socket| socket.owner() == owner)
            .cloned()
            .ok_or(Error::HandleNotFound(handle))
    }

    /// Takes the owner's socket of that name out of the table; from here on the handle does not exist.
    pub(crate) fn remove(&self, handle: Handle, owner: Owner) -> Result<Arc<Socket>> {
        let mut entries = self.lock();
        match entries.sockets.get(&handle) {
            Some(socket) if socket.owner() == owner => {}
            _ => return Err(Error::HandleNotFound(handle)),
        }
        let socket = entries
            .sockets
            .remove(&handle)
            .ok_or(Error::HandleNotFound(handle))?;
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Ok(socket)
    }

    /// Gives out a block of numbers, for the session of that id.
    pub(crate) fn block(&self, session_id: String) -> Arc<Block> {
        let mut entries = self.lock();
        let first = entries.next_block;
        entries.next_block += BLOCK;
        drop(entries);
        Block::new(session_id, first)
    }

    /// Takes every socket of a session that is over out of the table; none is added after.
    pub(crate) fn remove_session(&self, block: &Arc<Block>) -> Vec<Arc<Socket>> {
        block.end();
        let mut removed = Vec::new();
        self.lock().sockets.retain(|_, socket| {
            let keep = !socket.is_of(block);
            if !keep {
                removed.push(Arc::clone(socket));
            }
            keep
        });
        self.taken.fetch_sub(removed.len(), Ordering::Relaxed);
        removed
    }

    /// How many sockets a session has.
    pub(crate) fn count(&self, block: &Arc<Block>) -> usize {
        let entries = self.lock();
        entries
            .sockets
            .values()
            .filter(|socket| socket.is_of(block))
            .count()
    }

    /// Takes every socket out of the table.
    pub(crate) fn remove_all(&self) -> Vec<Arc<Socket>> {
        let sockets = std::mem::take(&mut self.lock().sockets);
        self.taken.fetch_sub(sockets.len(), Ordering::Relaxed);
        sockets.into_values().collect()
    }

    /// Up to `count` of the owner's sockets with handles above `after`, upwards, and whether there are more.
    pub(crate) fn page(
        &self,
        owner: Owner,
        after: Handle,
        count: usize,
    ) -> (Vec<Arc<Socket>>, bool) {
        let entries = self.lock();
        let mut rest = entries
            .sockets
            .range(Handle(after.0.saturating_add(1))..)
            .map(|(_, socket)| socket)
            .filter(|socket| socket.owner() == owner);
        let page = rest.by_ref().take(count).cloned().collect();
        (page, rest.next().is_some())
    }

    /// Every socket there is.
    pub(crate) fn all(&self) -> Vec<Arc<Socket>> {
        self.lock().sockets.values().cloned().collect()
    }

    /// How many sockets there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().sockets.len()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing below panics between two changes that belong together: a poisoned table is still whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one socket; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    table: &'a Table,
}

impl Reservation<'_> {
    /// Fills the room with the socket that `make` builds under its new handle: the claimed one, or the next.
    ///
    /// # Errors
    /// The socket's session is over.
    pub(crate) fn insert(
        self,
        claim: Option<Claim>,
        make: impl FnOnce(Handle) -> Socket,
    ) -> Result<Arc<Socket>> {
        let mut entries = self.table.lock();
        let handle = match claim {
            Some(claim) => claim.keep(),
            None => {
                let next = entries.next;
                entries.next += 1;
                Handle(next)
            }
        };
        let socket = Arc::new(make(handle));
        // Looked at under the lock: either this sees the end of the session, or the session's end sees the socket.
        if socket.session().is_some_and(|session| session.is_ended()) {
            return Err(Error::SessionExpired);
        }
        entries.sockets.insert(handle, Arc::clone(&socket));
        drop(entries);
        // The room now belongs to the entry.
        std::mem::forget(self);
        Ok(socket)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.table.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
