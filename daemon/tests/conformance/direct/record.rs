//! Which of a unix SOCK_SEQPACKET connection's receives of 0 bytes is an empty record, and which the end. recv(2) returns 0 for both.

use std::{mem, os::fd::RawFd, ptr};

use super::perform::{check, failure, get_option};
use crate::outcome::Failure;

/// Whether the socket is one whose records may be empty, and which has an end.
pub(super) fn has_records(fd: RawFd) -> bool {
    let is = |number, value: i32| {
        get_option(fd, libc::SOL_SOCKET, number, 4).is_ok_and(|bytes| bytes == value.to_ne_bytes())
    };
    is(libc::SO_TYPE, libc::SOCK_SEQPACKET) && is(libc::SO_DOMAIN, libc::AF_UNIX)
}

/// Waits as a receive with these flags does, and says whether the end is what the next one returns: the peer has shut down, and what
/// comes has no time stamp, which every record has.
pub(super) fn comes_end(fd: RawFd, flags: i32) -> Result<bool, Failure> {
    // SAFETY: there is no room for the kernel to write to.
    if unsafe { libc::recv(fd, ptr::null_mut(), 0, libc::MSG_PEEK | flags) } < 0 {
        return Err(failure());
    }
    let mut entry = libc::pollfd {
        fd,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: the kernel writes one entry.
    check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
    if entry.revents & libc::POLLRDHUP == 0 {
        return Ok(false);
    }
    let was_on = get_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMP, 4)? != 0i32.to_ne_bytes();
    stamps(fd, true)?;
    let mut control = [0u8; 256];
    // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len();
    // SAFETY: the header points to `control`, which outlives the call.
    let received =
        unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    stamps(fd, was_on)?;
    Ok(received == 0 && header.msg_controllen == 0)
}

fn stamps(fd: RawFd, on: bool) -> Result<(), Failure> {
    let value = i32::from(on);
    // SAFETY: the value is an int, of 4 bytes.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMP,
            (&raw const value).cast(),
            4,
        )
    })
    .map(drop)
}
