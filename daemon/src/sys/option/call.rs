//! setsockopt(2) and getsockopt(2) themselves, made safe for whatever level, number and bytes a caller names.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use libc::{c_int, c_void, sock_filter, sock_fprog, socklen_t};

use super::MAX_LENGTH;
use crate::sys::message::hold_stamps;

/// The least memory behind a value that is set. Handlers of older kernels read a whole structure whatever length they are
/// told; the largest that does is far smaller.
const LEAST_ROOM: usize = 512;

/// A classic BPF instruction's size in bytes.
const INSTRUCTION: usize = size_of::<sock_filter>();

/// Corresponds to setsockopt(2). Not for options that carry pointers or descriptors: see [`super::refused`].
///
/// Takes `value` for itself, since some handlers write into what they are given (IPV6_FLOWLABEL_MGR stores the label).
pub(super) fn setsockopt(
    fd: BorrowedFd<'_>,
    level: c_int,
    number: c_int,
    mut value: Vec<u8>,
) -> io::Result<()> {
    let length =
        socklen_t::try_from(value.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    value.resize(value.len().max(LEAST_ROOM), 0);
    let _held = hold_stamps(level, number);
    // SAFETY: `value` holds at least `length` bytes, is writable, and lives through the call; the kernel keeps no pointer to it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            number,
            value.as_mut_ptr().cast::<c_void>(),
            length,
        )
    };
    // Some options of SCTP succeed with a positive number.
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Corresponds to getsockopt(2). Returns how many bytes of `buffer` the value takes. What was in `buffer` is lost: it is zeroed
/// first, since some handlers read from it how much they may write (IP_MSFILTER its number of sources).
pub(super) fn getsockopt(
    fd: BorrowedFd<'_>,
    level: c_int,
    number: c_int,
    buffer: &mut [u8],
) -> io::Result<usize> {
    buffer.fill(0);
    // SO_GET_FILTER counts in instructions: told bytes, the kernel would write eight times as much.
    let unit = if takes_filter(level, number) {
        INSTRUCTION
    } else {
        1
    };
    let room = buffer.len() / unit;
    let mut length =
        socklen_t::try_from(room).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let _held = hold_stamps(level, number);
    // SAFETY: `buffer` is writable for `length` units, and `length` for a socklen_t; both live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            number,
            buffer.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Some tell the length that they would have needed (NETLINK_LIST_MEMBERSHIPS).
    let length = usize::try_from(length).unwrap_or(room).min(room);
    Ok(length * unit)
}

/// Whether the option's value is a classic BPF program, which the kernel takes as a pointer in struct sock_fprog.
pub(super) fn takes_filter(level: c_int, number: c_int) -> bool {
    level == libc::SOL_SOCKET
        && matches!(
            number,
            libc::SO_ATTACH_FILTER | libc::SO_ATTACH_REUSEPORT_CBPF
        )
}

/// The instructions of a classic BPF program.
pub(super) struct Filter {
    /// At most `MAX_LENGTH` / `INSTRUCTION`, so that their number fits sock_fprog.
    instructions: Vec<sock_filter>,
}

impl Filter {
    /// Reads instructions as the kernel lays them out: code, jt, jf and k. `None` if `bytes` are not whole ones, or too many.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let (instructions, rest) = bytes.as_chunks::<INSTRUCTION>();
        if !rest.is_empty() || bytes.len() > MAX_LENGTH {
            return None;
        }
        let instruction = |&[c0, c1, jt, jf, k0, k1, k2, k3]: &[u8; INSTRUCTION]| sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        };
        Some(Self {
            instructions: instructions.iter().map(instruction).collect(),
        })
    }
}

/// Corresponds to setsockopt(2) with struct sock_fprog. The kernel decides whether the program is a good one.
pub(super) fn attach_filter(
    fd: BorrowedFd<'_>,
    level: c_int,
    number: c_int,
    mut filter: Filter,
) -> io::Result<()> {
    let program = sock_fprog {
        len: u16::try_from(filter.instructions.len())
            .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
        filter: filter.instructions.as_mut_ptr(),
    };
    let length = socklen_t::try_from(size_of::<sock_fprog>())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: `program` points to `len` instructions that live through the call; the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            number,
            (&raw const program).cast::<c_void>(),
            length,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
