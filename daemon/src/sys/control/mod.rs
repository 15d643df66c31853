//! Control messages as the kernel takes and gives them (cmsg(3)).
//!
//! The kernel copies the whole buffer in and out, so it needs no alignment, and is built and read here byte by byte: a header of
//! cmsg_len (size_t, header included), cmsg_level and cmsg_type (ints), then the payload, filled up to the size of a long.

mod decode;
mod encode;
#[cfg(fuzzing)]
pub(crate) mod fuzz;

use std::{
    ffi::c_int,
    mem::size_of,
    os::fd::{BorrowedFd, OwnedFd},
};

pub(super) use decode::decode;
pub(super) use encode::encode;
pub(crate) use encode::encoded_length;

/// What an SCM_RIGHTS message to send carries.
#[derive(Clone, Debug)]
pub(crate) struct SentRights<'fd>(pub(crate) Vec<BorrowedFd<'fd>>);

/// What a received SCM_RIGHTS message carried.
#[derive(Debug, Default)]
pub(crate) struct ReceivedRights {
    /// The sockets among it, now O_NONBLOCK: that is a flag of the open socket, so the sender's descriptor has it too. Without
    /// it, accepting on one would wait.
    pub(crate) sockets: Vec<OwnedFd>,
    /// What was no socket: a file's close(2) may take its time, so that it is for whoever has a place to close it at. Counted in `discarded`.
    pub(crate) others: Vec<OwnedFd>,
    /// How many descriptors were no sockets, or could not be kept.
    pub(crate) discarded: u32,
}

/// What MSG_PEEK does: the same sockets under further descriptors. Those that there is none for are counted as discarded.
impl Clone for ReceivedRights {
    fn clone(&self) -> Self {
        let all = self.sockets.iter();
        let sockets: Vec<_> = all.filter_map(|fd| fd.try_clone().ok()).collect();
        let lost = self.sockets.len() - sockets.len();
        Self {
            discarded: self.discarded + u32::try_from(lost).unwrap_or(u32::MAX),
            sockets,
            others: Vec::new(),
        }
    }
}

/// The size of a control message's header.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<c_int>();

/// What the size of a control message is filled up to.
const ALIGNMENT: usize = size_of::<usize>();

/// linux/socket.h; not in libc.
const SCM_PIDFD: c_int = 0x04;

#[cfg(test)]
mod tests;
