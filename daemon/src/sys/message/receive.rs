//! recv(2), recvfrom(2), recvmsg(2) and recvmmsg(2).

use std::{io, os::fd::AsRawFd, ptr};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags},
};

use super::{
    ReceivedRights,
    mode::{Inbound, Mode, data_comes_first},
    scratch::{Layout, MAX_DATA, Scratch, with_scratch},
};
use crate::sys::{
    errno::{check, check_length, invalid},
    socket::{Events, peek_offset, poll_one, set_peek_offset},
};

/// How many messages a call can receive at most.
const MAX_MESSAGES: usize = 1024;
/// How many bytes of control messages a call can receive at most with each message.
const MAX_CONTROL: usize = 16_384;

/// A received message.
#[derive(Debug)]
pub(crate) struct Received {
    /// What was received, at most as long as asked for.
    pub(crate) data: Bytes,
    /// The sender's address, if asked for and if the kernel tells one.
    pub(crate) address: Option<Address>,
    /// What msg_flags tells of the message: TRUNC, CTRUNC, OOB, EOR, ERRQUEUE, CONFIRM and DONTROUTE.
    pub(crate) flags: MessageFlags,
    /// How long the message is, or the bytes discarded by MSG_TRUNC on a TCP socket. From the error queue, from a socket with SO_PEEK_OFF
    /// unless MSG_TRUNC was asked for, and from the few protocols that do not tell a truncated message's length, it is what was received.
    pub(crate) full_length: usize,
    /// Whether it is no message but the end of the connection, as whoever received it has found out; false from here.
    pub(crate) is_end: bool,
    /// Its control messages.
    pub(crate) control: Vec<ControlMessage<ReceivedRights>>,
    /// Where it was among all that was received of its socket, if the one who receives counts that.
    pub(crate) position: u64,
}

impl Received {
    /// The position of what was in no queue: the end, or what MSG_PEEK has left there.
    pub(crate) const NOWHERE: u64 = u64::MAX;
}

/// What [`receive_messages`] received.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// At least one message.
    pub(crate) messages: Vec<Received>,
    /// The error that came after them, of which the kernel knows no more: it belongs to the next call.
    pub(crate) error: Option<io::Error>,
}

/// Receives at most `length` bytes. Corresponds to recvfrom(2), and to recv(2) without `want_address`.
///
/// Control messages are dropped by the kernel, descriptors in them closed; if there were any, `flags` has CTRUNC. A `length` of
/// more than 2 MiB is EINVAL.
pub(crate) fn receive(
    inbound: Inbound<'_>,
    length: usize,
    flags: MessageFlags,
    want_address: bool,
) -> io::Result<Received> {
    let layout = Layout {
        count: 1,
        length,
        control_length: 0,
        want_address,
    };
    receive_one(inbound, layout, Mode::new(inbound, flags))
}

/// Receives the messages that are there, at most `count` (and 1,024), each with at most `length` bytes, its address, and at most
/// `control_length` bytes (and 16,384) of control messages. Each is what recvmsg(2) would give: an error that is pending comes before
/// queued data where that reports it first. Corresponds to recvmsg(2) and recvmmsg(2). `count` times `length` over 2 MiB is EINVAL.
///
/// At the end of a stream the kernel returns `count` empty messages.
pub(crate) fn receive_messages(
    inbound: Inbound<'_>,
    count: usize,
    length: usize,
    control_length: usize,
    flags: MessageFlags,
) -> io::Result<Batch> {
    let mut mode = Mode::new(inbound, flags);
    // Descriptors come over AF_UNIX alone, and some others, such as AF_PACKET, refuse a flag that they do not know.
    if control_length > 0 && inbound.kind.domain == libc::AF_UNIX {
        mode.flags |= libc::MSG_CMSG_CLOEXEC;
    }
    let layout = Layout {
        count: count.min(MAX_MESSAGES),
        length,
        control_length: control_length.min(MAX_CONTROL),
        want_address: true,
    };
    // Otherwise recvmmsg(2) keeps an error that it meets after messages in the socket, which calls one by one cannot do.
    let has_error =
        || poll_one(inbound.fd, Events::EMPTY).is_ok_and(|ready| ready.contains(Events::ERR));
    let by_itself =
        layout.count > 1 && (mode.hides_extent || data_comes_first(inbound.kind) && has_error());
    if layout.count == 1 || by_itself {
        return one_by_one(inbound, layout, mode);
    }
    with_scratch(layout, mode, |scratch| {
        let count = u32::try_from(layout.count).expect("there are at most 1,024 messages");
        // SAFETY: there are `count` headers with pointers to room of the lengths beside them, which is not touched until the call has
        // returned. There is no timeout to point to.
        let received = check(unsafe {
            libc::recvmmsg(
                inbound.fd.as_raw_fd(),
                scratch.headers().as_mut_ptr(),
                count,
                mode.flags as _,
                ptr::null_mut(),
            )
        })?;
        let received = usize::try_from(received).expect("check() let no negative count through");
        let take = |index: usize| {
            let returned = scratch.headers()[index].msg_len as usize;
            // SAFETY: the kernel has just filled the first `received` messages, and each is taken once.
            unsafe { scratch.take(index, returned, usize::MAX) }
        };
        Ok(Batch {
            messages: (0..received).map(take).collect(),
            error: None,
        })
    })
}

/// Receives the messages by a call each.
fn one_by_one(inbound: Inbound<'_>, layout: Layout, mode: Mode) -> io::Result<Batch> {
    let one = Layout { count: 1, ..layout };
    let mut batch = Batch::default();
    if layout.count.saturating_mul(layout.length) > MAX_DATA {
        return Err(invalid());
    }
    while batch.messages.len() < layout.count {
        match receive_one(inbound, one, mode) {
            Ok(message) => batch.messages.push(message),
            Err(error) if batch.messages.is_empty() => return Err(error),
            Err(error) => {
                batch.error = (error.kind() != io::ErrorKind::WouldBlock).then_some(error);
                break;
            }
        }
    }
    Ok(batch)
}

/// Receives a message by recvmsg(2).
fn receive_one(inbound: Inbound<'_>, layout: Layout, mode: Mode) -> io::Result<Received> {
    if mode.hides_extent {
        return peek_whole(inbound, layout, mode);
    }
    take_one(inbound, layout, mode)
}

fn take_one(inbound: Inbound<'_>, layout: Layout, mode: Mode) -> io::Result<Received> {
    with_scratch(layout, mode, |scratch| {
        let returned = recvmsg(inbound, scratch, mode)?;
        // SAFETY: the kernel has just filled this message, which is the only one.
        Ok(unsafe { scratch.take(0, returned, usize::MAX) })
    })
}

/// A peek with MSG_TRUNC from SO_PEEK_OFF. How many bytes it wrote is what the same peek returns without the flag: that is the second call,
/// from the same offset, which is put back behind the first one's message afterwards. An empty message has no second call: the kernel passes
/// over one that was peeked at. Whoever else peeks at the open socket meanwhile may see the offset move, and no byte that was not written
/// leaves the scratch for that.
fn peek_whole(inbound: Inbound<'_>, layout: Layout, mode: Mode) -> io::Result<Received> {
    let before = peek_offset(inbound.fd)?;
    let mut received = take_one(inbound, layout, mode)?;
    // A negative offset: somebody has switched it off since.
    if received.data.is_empty() || before < 0 {
        return Ok(received);
    }
    let after = peek_offset(inbound.fd)?;
    set_peek_offset(inbound.fd, before)?;
    let layout = Layout {
        control_length: 0,
        want_address: false,
        ..layout
    };
    // An error that has come in between is the call's: the message is still there, and so is the offset.
    let written = take_one(inbound, layout, mode.without_truncation())?;
    set_peek_offset(inbound.fd, after)?;
    received.data.truncate(written.data.len());
    Ok(received)
}

/// One recvmsg(2) into the scratch's first place; what it returned.
fn recvmsg(inbound: Inbound<'_>, scratch: &mut Scratch, mode: Mode) -> io::Result<usize> {
    let header = &mut scratch.headers()[0].msg_hdr;
    // SAFETY: the header's pointers are to room of the lengths beside them, which is not touched until the call has returned.
    check_length(unsafe {
        libc::recvmsg(inbound.fd.as_raw_fd(), ptr::from_mut(header), mode.flags)
    })
}

/// A peek in a mode that was found before.
#[cfg(test)]
pub(super) fn peek_with(inbound: Inbound<'_>, length: usize, mode: Mode) -> io::Result<Received> {
    let layout = Layout {
        count: 1,
        length,
        control_length: 0,
        want_address: false,
    };
    receive_one(inbound, layout, mode)
}
