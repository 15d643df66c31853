//! Entries of the error queue that a stream or a relay has taken out of the kernel, for receives with MSG_ERRQUEUE.
//!
//! The kernel counts its error queue against the receive buffer, and reports readiness for as long as it is not empty: who waits for what
//! the socket receives would get less and less, then nothing, and wake without end.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use farsock_proto::{
    message::{ControlMessage, MessageFlags},
    socket::Domain,
};

use super::{Socket, receive::ReceiveRequest};
use crate::sys::{self, message::Received};

/// How many entries are held at most, and how many bytes of theirs. What comes beyond is dropped, as the kernel drops it.
const MOST: usize = 1024;
const MOST_BYTES: usize = 512 << 10;
/// How many entries one call takes, with how many bytes of control messages each.
const AT_ONCE: usize = 16;
const CONTROL: usize = 1024;
/// The longest that an entry's packet can be, in bytes.
const LONGEST: usize = 65_536;

/// What was taken out of the kernel's error queue and not received yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct TakenErrors {
    /// Whether there is any: all that a receive pays for if there is none.
    any: AtomicBool,
    entries: Mutex<VecDeque<Received>>,
}

impl TakenErrors {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket {
    /// Whether entries of the error queue wait here: poll(2) would report ERR.
    pub(crate) fn has_taken_errors(&self) -> bool {
        self.errors.any.load(Ordering::Relaxed)
    }

    /// Takes all entries out of the kernel's error queue, and says whether there were any. To be called after a receive has found nothing:
    /// the kernel forgets a pending error with the entry that tells of it.
    pub(crate) fn take_errors(&self) -> bool {
        if !self.has_error_queue() {
            return false;
        }
        let mut entries = self.errors.lock();
        let mut bytes: usize = entries.iter().map(size).sum();
        let mut took = false;
        // The kernel's queue is bounded, and so is what comes while it is emptied.
        for _ in 0..MOST {
            let flags = MessageFlags::ERRQUEUE;
            let taken =
                sys::message::receive_messages(self.inbound(), AT_ONCE, LONGEST, CONTROL, flags);
            let Ok(batch) = taken else {
                break;
            };
            took |= !batch.messages.is_empty();
            for entry in batch.messages {
                if entries.len() < MOST && bytes + size(&entry) <= MOST_BYTES {
                    bytes += size(&entry);
                    entries.push_back(entry);
                }
            }
        }
        self.errors
            .any
            .store(!entries.is_empty(), Ordering::Relaxed);
        took
    }

    /// The oldest entry that was taken, as a receive with room for so many bytes of control messages returns it; none if this is no receive
    /// of the error queue.
    pub(super) fn taken_error(
        &self,
        request: ReceiveRequest,
        control_length: usize,
    ) -> Option<Received> {
        if !self.has_taken_errors()
            || !request.flags.contains(MessageFlags::ERRQUEUE)
            || request.flags.contains(MessageFlags::OOB)
        {
            return None;
        }
        let mut entries = self.errors.lock();
        let mut entry = entries.pop_front()?;
        self.errors
            .any
            .store(!entries.is_empty(), Ordering::Relaxed);
        drop(entries);
        if entry.data.len() > request.length {
            entry.data.truncate(request.length);
            entry.full_length = request.length;
            entry.flags |= MessageFlags::TRUNC;
        }
        let is_v6 = self.kind().domain() == Domain::Inet6;
        let mut room = control_length;
        let fits = entry.control.iter().take_while(|control| {
            let rest = room.checked_sub(space(control, is_v6));
            room = rest.unwrap_or(0);
            rest.is_some()
        });
        let fitting = fits.count();
        if fitting < entry.control.len() {
            entry.control.truncate(fitting);
            entry.flags |= MessageFlags::CTRUNC;
        }
        if !request.address {
            entry.address = None;
        }
        Some(entry)
    }
}

/// What an entry counts.
fn size(entry: &Received) -> usize {
    entry.data.len() + 256
}

/// CMSG_SPACE of a control message that comes with an entry.
fn space<R>(control: &ControlMessage<R>, is_v6: bool) -> usize {
    use ControlMessage as M;
    let length = match control {
        M::ExtendedError(_) => 16 + if is_v6 { 28 } else { 16 },
        M::Timestamping { .. } => 48,
        M::Timestamp(_) | M::TimestampNs(_) => 16,
        M::Ipv4PacketInfo { .. } => 12,
        M::Ipv6PacketInfo { .. } => 20,
        M::OriginalDestination(_) => 28,
        M::Raw { data, .. } => data.len(),
        _ => 4,
    };
    16 + length.next_multiple_of(8)
}
