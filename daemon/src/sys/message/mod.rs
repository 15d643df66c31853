//! Sending and receiving: send(2), recv(2) and their relatives.

mod last;
mod mode;
mod receive;
mod scratch;
mod send;
mod stream;

use std::ffi::c_int;

use farsock_proto::message::MessageFlags;

pub(crate) use super::control::{ReceivedRights, SentRights, encoded_length};
pub(in crate::sys) use last::hold_stamps;
pub(crate) use last::receive_last;
pub(crate) use mode::Inbound;
pub(crate) use receive::{Batch, Received, receive, receive_messages};
pub(crate) use send::{Outgoing, send, send_messages};
pub(crate) use stream::{receive_into, send_pieces};

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes: what is sent at once may be received in parts.
    Stream,
    /// Messages: what was not received of one at once is lost.
    Message,
}

/// The same flags, those that have a name moved to it from the raw numbers: whoever asks for one finds it either way.
pub(crate) fn by_name(flags: MessageFlags) -> MessageFlags {
    let raw = flags.raw().cast_signed();
    let named = FLAGS
        .iter()
        .filter(|row| raw & row.1 != 0)
        .fold(flags, |flags, row| flags | row.0);
    let rest = FLAGS.iter().fold(raw, |rest, row| rest & !row.1);
    named.without(MessageFlags::from_raw(flags.raw()))
        | MessageFlags::from_raw(rest.cast_unsigned())
}

/// The flags with a name, and the kernel's.
const FLAGS: [(MessageFlags, c_int); 14] = [
    (MessageFlags::OOB, libc::MSG_OOB),
    (MessageFlags::PEEK, libc::MSG_PEEK),
    (MessageFlags::DONTROUTE, libc::MSG_DONTROUTE),
    (MessageFlags::CTRUNC, libc::MSG_CTRUNC),
    (MessageFlags::TRUNC, libc::MSG_TRUNC),
    (MessageFlags::DONTWAIT, libc::MSG_DONTWAIT),
    (MessageFlags::EOR, libc::MSG_EOR),
    (MessageFlags::WAITALL, libc::MSG_WAITALL),
    (MessageFlags::CONFIRM, libc::MSG_CONFIRM),
    (MessageFlags::ERRQUEUE, libc::MSG_ERRQUEUE),
    (MessageFlags::NOSIGNAL, libc::MSG_NOSIGNAL),
    (MessageFlags::MORE, libc::MSG_MORE),
    (MessageFlags::WAITFORONE, libc::MSG_WAITFORONE),
    (MessageFlags::FASTOPEN, libc::MSG_FASTOPEN),
];

/// The kernel's number for `flags`, named and raw.
fn kernel_flags(flags: MessageFlags) -> c_int {
    let raw = flags.raw().cast_signed();
    FLAGS
        .iter()
        .filter(|row| flags.contains(row.0))
        .fold(raw, |bits, row| bits | row.1)
}

/// The flags with a name in msg_flags. Those that tell something of the message, that is: the kernel also leaves in what the call
/// itself had asked for, such as MSG_CMSG_CLOEXEC.
fn received_flags(bits: c_int) -> MessageFlags {
    const TELLING: c_int = libc::MSG_OOB
        | libc::MSG_DONTROUTE
        | libc::MSG_CTRUNC
        | libc::MSG_TRUNC
        | libc::MSG_EOR
        | libc::MSG_CONFIRM
        | libc::MSG_ERRQUEUE;
    FLAGS
        .iter()
        .filter(|row| bits & TELLING & row.1 != 0)
        .fold(MessageFlags::NONE, |flags, row| flags | row.0)
}

#[cfg(test)]
mod tests;
