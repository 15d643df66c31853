//! send(2), sendto(2) and sendmmsg(2).

use std::{
    ffi::c_int,
    io,
    marker::PhantomData,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use bytes::{Buf, Bytes};
use farsock_proto::{
    Violation,
    address::Address,
    message::{ControlMessage, MessageFlags},
};

use super::{SentRights, kernel_flags};
use crate::sys::{
    address::{SockAddr, decode, encode},
    control,
    errno::{check, check_length},
};

/// How many messages sendmmsg(2) takes at once (UIO_MAXIOV).
const MAX_MESSAGES: usize = 1024;

/// Sends `data` to `address`, or to the socket's peer, and returns how many bytes the kernel took. Corresponds to sendto(2), and
/// to send(2) without an address.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    data: &[u8],
    flags: MessageFlags,
    address: Option<&Address>,
) -> io::Result<usize> {
    let address = address.map(encode);
    let (name, name_len) = address.as_ref().map_or((ptr::null(), 0), |address| {
        (address.as_ptr(), address.len())
    });
    // SAFETY: pointers and lengths are those of one slice and of one address (or of none), which outlive the call; without
    // MSG_ZEROCOPY the kernel is done with them when it returns.
    check_length(unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            data.as_ptr().cast(),
            data.len(),
            send_flags(flags),
            name,
            name_len,
        )
    })
}

/// A message to send, checked and in the kernel's form.
#[derive(Clone)]
pub(crate) struct Outgoing<'fd> {
    data: Bytes,
    address: Option<SockAddr>,
    /// Invariant: made by [`control::encode`] from descriptors that are open for `'fd`.
    control: Vec<u8>,
    rights: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> Outgoing<'fd> {
    /// A message with `data` for `address`, or for the socket's peer. The violation's field is relative to the message:
    /// `control[0].ttl`.
    pub(crate) fn new(
        data: Bytes,
        address: Option<&Address>,
        control: &[ControlMessage<SentRights<'fd>>],
    ) -> Result<Self, Violation> {
        Ok(Self {
            data,
            address: address.map(encode),
            control: control::encode(control)?,
            rights: PhantomData,
        })
    }

    /// What is to be sent.
    pub(crate) fn data(&self) -> &Bytes {
        &self.data
    }

    /// How many bytes of control messages go with it, in the kernel's layout.
    pub(crate) fn control_length(&self) -> usize {
        self.control.len()
    }

    /// Where it is to go; none: to the socket's peer.
    pub(crate) fn address(&self) -> Option<Address> {
        decode(self.address.as_ref()?.as_bytes())
    }

    /// The message goes to the socket's peer.
    pub(crate) fn forget_address(&mut self) {
        self.address = None;
    }

    /// Takes away the first `sent` bytes, which a stream socket has taken, and the control messages that went with them, so that
    /// the rest can be sent.
    pub(crate) fn advance(&mut self, sent: usize) {
        self.data.advance(sent.min(self.data.len()));
        self.control.clear();
    }
}

/// Sends `messages` in order until one is not taken, or not taken whole, and returns how many bytes were taken of each one sent. An
/// error is returned only if it is the first message's, as the kernel does. Corresponds to sendmmsg(2).
pub(crate) fn send_messages(
    fd: BorrowedFd<'_>,
    messages: &[Outgoing<'_>],
    flags: MessageFlags,
) -> io::Result<Vec<usize>> {
    let flags = send_flags(flags);
    let mut sent = Vec::with_capacity(messages.len());
    for chunk in messages.chunks(MAX_MESSAGES) {
        let before = sent.len();
        match send_chunk(fd, chunk, flags, &mut sent) {
            Err(error) if before == 0 => return Err(error),
            Err(_) => break,
            Ok(()) => {}
        }
        let taken = &sent[before..];
        let last_is_whole = taken.last().copied() == chunk.last().map(|message| message.data.len());
        if taken.len() < chunk.len() || !last_is_whole {
            break;
        }
    }
    Ok(sent)
}

/// One sendmmsg(2) of at most [`MAX_MESSAGES`], which appends what was taken to `sent`.
fn send_chunk(
    fd: BorrowedFd<'_>,
    messages: &[Outgoing<'_>],
    flags: c_int,
    sent: &mut Vec<usize>,
) -> io::Result<()> {
    let mut vectors: Vec<_> = messages
        .iter()
        .map(|message| libc::iovec {
            iov_base: message.data.as_ptr().cast_mut().cast(),
            iov_len: message.data.len(),
        })
        .collect();
    let mut headers: Vec<_> = messages
        .iter()
        .zip(&mut vectors)
        .map(|(message, vector)| header(message, vector))
        .collect();
    let count = u32::try_from(headers.len()).expect("a chunk has at most 1,024 messages");
    // SAFETY: `headers` has `count` entries, whose pointers are those of `vectors` and `messages`, which outlive the call. The
    // kernel only reads through them; without MSG_ZEROCOPY it is done with them when it returns.
    let taken =
        check(unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) })?;
    let taken =
        usize::try_from(taken).expect("sendmmsg returns a count, or -1, which `check` took");
    sent.extend(
        headers[..taken]
            .iter()
            .map(|header| header.msg_len as usize),
    );
    Ok(())
}

/// The kernel's header for a message and the vector of its data.
fn header(message: &Outgoing<'_>, vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all-zero is a valid mmsghdr: null pointers and zero lengths.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    if let Some(address) = &message.address {
        header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = address.len();
    }
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    if !message.control.is_empty() {
        header.msg_hdr.msg_control = message.control.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_controllen = message.control.len() as _;
    }
    header
}

/// The kernel's number for a send's flags. MSG_ZEROCOPY is left out even if the caller forgot
/// [`check_send_flags`](super::check_send_flags): with it the kernel would send whatever later stood in the payload's memory.
fn send_flags(flags: MessageFlags) -> c_int {
    (kernel_flags(flags) & !libc::MSG_ZEROCOPY) | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL
}
