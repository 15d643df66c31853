//! The table that owns every socket. A handle is only a name for an entry of it.
//!
//! No call takes the lock for longer than its own caller's sockets make it, and nothing is dropped under it: a socket's drop may close its
//! descriptor.

mod block;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

pub(crate) use self::block::{Aftermath, BLOCK, Block, Claim};
use crate::{
    engine::Owner,
    error::{Error, Result},
    socket::Socket,
};

/// The bound of all handles, exclusive: JSON numbers are exact below it, and so are JavaScript's.
pub(crate) const MOST_HANDLES: u64 = 1 << 53;

/// How many sockets are taken out of the table at most before others have a turn at it.
const BATCH: usize = 128;

/// The name of a socket: counted up from 1, below [`MOST_HANDLES`], never used again while the daemon lives.
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

/// Invariant: every key is below `next`, at or above `end`, or was claimed in a block below `next_block`, so that no handle is given out
/// twice; and every socket of a session that is not over is in its block's set.
#[derive(Debug)]
struct Entries {
    /// The numbers that the table assigns itself, `next..end`: a block of its own, followed by another when it is used up.
    next: u64,
    end: u64,
    next_block: u64,
    /// By owner, so that nobody's calls cost more for what others have.
    sockets: HashMap<Owner, BTreeMap<Handle, Arc<Socket>>, RandomState>,
    len: usize,
}

impl Entries {
    /// The next number of the table's own.
    fn next_handle(&mut self) -> Result<Handle> {
        if self.next == self.end {
            self.next = self.next_block()?;
            self.end = self.next + BLOCK;
        }
        let handle = Handle(self.next);
        self.next += 1;
        Ok(handle)
    }

    /// The first number of a block that was never given out.
    fn next_block(&mut self) -> Result<u64> {
        let first = self.next_block;
        if first >= MOST_HANDLES {
            return Err(Error::HandlesUsedUp);
        }
        self.next_block += BLOCK;
        Ok(first)
    }

    fn insert(&mut self, socket: Arc<Socket>) {
        let sockets = self.sockets.entry(socket.owner()).or_default();
        if sockets.insert(socket.handle(), socket).is_none() {
            self.len += 1;
        }
    }

    fn remove(&mut self, handle: Handle, owner: Owner) -> Option<Arc<Socket>> {
        let removed = self.sockets.get_mut(&owner)?.remove(&handle)?;
        self.len -= 1;
        Some(removed)
    }
}

impl Table {
    /// An empty table for at most `limit` sockets.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            limit,
            entries: Mutex::new(Entries {
                next: 1,
                end: BLOCK,
                next_block: BLOCK,
                sockets: HashMap::default(),
                len: 0,
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
            .get(&owner)
            .and_then(|sockets| sockets.get(&handle))
            .cloned()
            .ok_or(Error::HandleNotFound(handle))
    }

    /// Takes the owner's socket of that name out of the table; from here on the handle does not exist.
    pub(crate) fn remove(&self, handle: Handle, owner: Owner) -> Result<Arc<Socket>> {
        let removed = self.lock().remove(handle, owner);
        let socket = removed.ok_or(Error::HandleNotFound(handle))?;
        if let Some(session) = socket.session() {
            session.remove(handle);
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Ok(socket)
    }

    /// Gives out a block of numbers, for the session of that id; `at_daemons_end` is for the sockets that it has then.
    ///
    /// # Errors
    /// All numbers were given out.
    pub(crate) fn block(
        &self,
        session_id: String,
        at_daemons_end: Aftermath,
    ) -> Result<Arc<Block>> {
        let first = self.lock().next_block()?;
        Ok(Block::new(session_id, first, at_daemons_end))
    }

    /// Takes every socket of the owner's session, which is over, out of the table; none is added after.
    pub(crate) fn remove_session(
        &self,
        block: &Block,
        owner: Owner,
        aftermath: Aftermath,
    ) -> Vec<Arc<Socket>> {
        let handles: Vec<_> = block.end(aftermath).into_iter().collect();
        let mut removed = Vec::with_capacity(handles.len());
        for batch in handles.chunks(BATCH) {
            let mut entries = self.lock();
            // One that is missing was closed meanwhile.
            removed.extend(
                batch
                    .iter()
                    .filter_map(|handle| entries.remove(*handle, owner)),
            );
        }
        self.taken.fetch_sub(removed.len(), Ordering::Relaxed);
        removed
    }

    /// Takes every socket out of the table.
    pub(crate) fn remove_all(&self) -> Vec<Arc<Socket>> {
        let mut entries = self.lock();
        let sockets = std::mem::take(&mut entries.sockets);
        entries.len = 0;
        drop(entries);
        let sockets: Vec<_> = sockets
            .into_values()
            .flat_map(BTreeMap::into_values)
            .collect();
        self.taken.fetch_sub(sockets.len(), Ordering::Relaxed);
        sockets
    }

    /// Up to `count` of the owner's sockets with handles above `after`, upwards, and whether there are more.
    pub(crate) fn page(
        &self,
        owner: Owner,
        after: Handle,
        count: usize,
    ) -> (Vec<Arc<Socket>>, bool) {
        let entries = self.lock();
        let Some(sockets) = entries.sockets.get(&owner) else {
            return (Vec::new(), false);
        };
        let mut rest = sockets
            .range(Handle(after.0.saturating_add(1))..)
            .map(|(_, socket)| socket);
        let page = rest.by_ref().take(count).cloned().collect();
        (page, rest.next().is_some())
    }

    /// Every socket there is.
    pub(crate) fn all(&self) -> Vec<Arc<Socket>> {
        let entries = self.lock();
        let sockets = entries.sockets.values().flat_map(BTreeMap::values);
        sockets.cloned().collect()
    }

    /// How many sockets there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len
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

/// A socket that did not get into the table. Whoever has it closes it, and not under the table's lock.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its session's end, if that was the reason.
    pub(crate) aftermath: Option<Aftermath>,
    pub(crate) socket: Box<Socket>,
    pub(crate) error: Error,
}

impl Reservation<'_> {
    /// Fills the room with the socket that `make` builds under its new handle: the claimed one, or the next.
    ///
    /// # Errors
    /// The socket's session is over, or all numbers were given out.
    pub(crate) fn insert(
        self,
        claim: Option<Claim>,
        make: impl FnOnce(Handle) -> Socket,
    ) -> Result<Arc<Socket>, Refused> {
        let mut entries = self.table.lock();
        let number = match claim {
            Some(claim) => Ok(claim.keep()),
            None => entries.next_handle(),
        };
        let socket = make(*number.as_ref().unwrap_or(&Handle(0)));
        // Asked under the lock: either this sees the end of the session, or the session's end sees the socket.
        let added = number.map_err(|error| (error, None)).and_then(|handle| {
            let session = socket
                .session()
                .map_or(Ok(()), |session| session.add(handle));
            session.map_err(|aftermath| (Error::SessionExpired, Some(aftermath)))
        });
        if let Err((error, aftermath)) = added {
            drop(entries);
            let socket = Box::new(socket);
            return Err(Refused {
                aftermath,
                socket,
                error,
            });
        }
        let socket = Arc::new(socket);
        entries.insert(Arc::clone(&socket));
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

#[cfg(test)]
mod tests;
