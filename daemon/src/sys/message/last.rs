//! The messages that a unix SOCK_SEQPACKET connection still holds when its peer sends no more: which of the empty ones is a message.
//!
//! recvmsg(2) returns 0 for an empty message and for the end alike, and neither poll(2) nor SIOCINQ tells the two apart once the peer has
//! shut down. A message has a time stamp, and the end has none.

use std::{
    ffi::c_int,
    io,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use farsock_proto::message::{ControlMessage, MessageFlags};

use super::{Inbound, Received, receive_messages};
use crate::sys::{errno::check, socket::integer_option};

/// SO_TIMESTAMP, SO_TIMESTAMPNS and their variants for times after 2038: at most one of them is on.
const STAMPS: [c_int; 4] = [
    libc::SO_TIMESTAMP,
    libc::SO_TIMESTAMPNS,
    libc::SO_TIMESTAMP_NEW,
    libc::SO_TIMESTAMPNS_NEW,
];
/// SO_TIMESTAMPING: where it is on, a socket with SO_TIMESTAMP has control messages of both.
const STAMPING: [c_int; 2] = [libc::SO_TIMESTAMPING, libc::SO_TIMESTAMPING_NEW];
/// CMSG_SPACE of a time stamp.
const STAMP_SPACE: usize = 32;

/// Held while a socket's SO_TIMESTAMP is not what its user has set.
static STAMPED: Mutex<()> = Mutex::new(());

/// Keeps the options that [`receive_last`] changes for a moment as their user knows them, for as long as the guard lives; none if `number`
/// is not one of them.
pub(in crate::sys) fn hold_stamps(level: c_int, number: c_int) -> Option<MutexGuard<'static, ()>> {
    (level == libc::SOL_SOCKET && (STAMPS.contains(&number) || STAMPING.contains(&number)))
        .then(lock)
}

fn lock() -> MutexGuard<'static, ()> {
    STAMPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives one message of a unix SOCK_SEQPACKET connection whose peer sends no more, and says whether it is one; otherwise it is the end.
/// Corresponds to recvmsg(2).
///
/// For as long as the call takes, the socket has SO_TIMESTAMP.
pub(crate) fn receive_last(
    inbound: Inbound<'_>,
    length: usize,
    control_length: usize,
    flags: MessageFlags,
) -> io::Result<(Received, bool)> {
    let fd = inbound.fd;
    let receive = |control_length| {
        let mut one = receive_messages(inbound, 1, length, control_length, flags)?.messages;
        one.pop().ok_or_else(crate::sys::errno::again)
    };
    let is_stamp = |control: &ControlMessage<_>| {
        matches!(
            control,
            ControlMessage::Timestamp(_) | ControlMessage::TimestampNs(_)
        )
    };
    let is_on = |number| integer_option(fd, libc::SOL_SOCKET, number).is_ok_and(|on| on != 0);

    let _held = lock();
    if STAMPS.into_iter().any(is_on) {
        let received = receive(control_length)?;
        let is_message = received.full_length > 0
            || received.control.iter().any(is_stamp)
            || received.flags.contains(MessageFlags::CTRUNC);
        return Ok((received, is_message));
    }
    if STAMPING.into_iter().any(is_on) {
        // It would show its own control messages as well. What has bytes behind it is no end, at least.
        let received = receive(control_length)?;
        let left = crate::sys::socket::receive_queue(fd).unwrap_or(0);
        let is_message = received.full_length > 0 || left > 0;
        return Ok((received, is_message));
    }
    let stamped = Stamped::new(fd)?;
    let received = receive(control_length + STAMP_SPACE);
    drop(stamped);
    let mut received = received?;
    let before = received.control.len();
    received.control.retain(|control| !is_stamp(control));
    let is_message = received.full_length > 0 || received.control.len() < before;
    Ok((received, is_message))
}

/// SO_TIMESTAMP, switched on until it is dropped.
struct Stamped<'a>(BorrowedFd<'a>);

impl<'a> Stamped<'a> {
    fn new(fd: BorrowedFd<'a>) -> io::Result<Self> {
        set_stamp(fd, true)?;
        Ok(Self(fd))
    }
}

impl Drop for Stamped<'_> {
    fn drop(&mut self) {
        // Switching it off cannot fail where switching it on has not.
        let _ = set_stamp(self.0, false);
    }
}

fn set_stamp(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let value = c_int::from(on);
    let length = size_of::<c_int>()
        .try_into()
        .expect("an int has fewer bytes than any integer can count");
    // SAFETY: `value` is readable for `length` bytes.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMP,
            (&raw const value).cast(),
            length,
        )
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};

    use farsock_proto::socket::{Domain, Protocol, ShutdownHow, SocketType};

    use super::*;
    use crate::sys::{
        message::send,
        socket::{pair, shutdown},
    };

    fn records(records: &[&[u8]]) -> io::Result<(OwnedFd, OwnedFd)> {
        let (near, far) = pair(Domain::Unix, SocketType::Seqpacket, Protocol::Default)?;
        for record in records {
            send(near.as_fd(), record, MessageFlags::NONE, None)?;
        }
        shutdown(near.as_fd(), ShutdownHow::Write)?;
        Ok((near, far))
    }

    #[test]
    fn each_empty_message_is_one_and_the_end_is_none() -> io::Result<()> {
        for control_length in [0, 64] {
            let (_near, far) = records(&[b"", b"a", b"", b""])?;
            for expected in [Some(0), Some(1), Some(0), Some(0), None, None] {
                let (received, is_message) =
                    receive_last(Inbound::of(&far)?, 8, control_length, MessageFlags::NONE)?;
                assert_eq!(is_message.then_some(received.data.len()), expected);
                assert!(received.control.is_empty());
                assert!(received.flags.is_empty());
            }
            for number in STAMPS {
                assert_eq!(integer_option(far.as_fd(), libc::SOL_SOCKET, number)?, 0);
            }
        }
        Ok(())
    }

    #[test]
    fn a_socket_with_time_stamps_keeps_them() -> io::Result<()> {
        let (_near, far) = records(&[b"", b""])?;
        set_stamp(far.as_fd(), true)?;
        let (stamped, is_message) = receive_last(Inbound::of(&far)?, 8, 64, MessageFlags::NONE)?;
        assert!(is_message && stamped.control.len() == 1);
        let (cut, is_message) = receive_last(Inbound::of(&far)?, 8, 0, MessageFlags::NONE)?;
        assert!(is_message && cut.flags.contains(MessageFlags::CTRUNC));
        let (_end, is_message) = receive_last(Inbound::of(&far)?, 8, 64, MessageFlags::NONE)?;
        assert!(!is_message);
        let on = integer_option(far.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMP)?;
        assert_eq!(on, 1);
        Ok(())
    }

    #[test]
    fn a_peek_changes_nothing() -> io::Result<()> {
        let (_near, far) = records(&[b""])?;
        for _ in 0..2 {
            assert!(receive_last(Inbound::of(&far)?, 8, 0, MessageFlags::PEEK)?.1);
        }
        assert!(receive_last(Inbound::of(&far)?, 8, 0, MessageFlags::NONE)?.1);
        assert!(!receive_last(Inbound::of(&far)?, 8, 0, MessageFlags::PEEK)?.1);
        Ok(())
    }
}
