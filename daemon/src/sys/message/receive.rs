//! recv(2), recvfrom(2) and recvmmsg(2).

use std::{
    cell::RefCell,
    ffi::c_int,
    io,
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags},
};
use libc::sockaddr_storage;

use super::{Framing, ReceivedRights, kernel_flags, received_flags};
use crate::sys::{
    address, control,
    errno::{check, check_length},
    socket::domain,
};

/// How many bytes a call can receive at most, all its messages together.
const MAX_DATA: usize = 2 << 20;
/// How many messages a call can receive at most.
const MAX_MESSAGES: usize = 1024;
/// How many bytes of control messages a call can receive at most with each message.
const MAX_CONTROL: usize = 16_384;
/// How large a control buffer a thread keeps.
const MAX_KEPT_CONTROL: usize = 2 << 20;

/// The length of a sockaddr_storage.
const NAME_LENGTH: libc::socklen_t = 128;
const _: () = assert!(size_of::<sockaddr_storage>() == 128);
/// linux/socket.h; not in libc. It makes TCP count bytes that stay in a device's memory, which nobody here could read.
const MSG_SOCK_DEVMEM: c_int = 0x200_0000;

/// A received message.
#[derive(Debug)]
pub(crate) struct Received {
    /// What was received, at most as long as asked for.
    pub(crate) data: Bytes,
    /// The sender's address, if asked for and if the kernel tells one.
    pub(crate) address: Option<Address>,
    /// What msg_flags tells of the message: TRUNC, CTRUNC, OOB, EOR, ERRQUEUE, CONFIRM and DONTROUTE.
    pub(crate) flags: MessageFlags,
    /// How long the message is, or the bytes discarded by MSG_TRUNC on a TCP socket. From the error queue, and from the few
    /// protocols that do not tell a truncated message's length, it is what was received.
    pub(crate) full_length: usize,
    /// Whether it is no message but the end of the connection, as whoever received it has found out; false from here.
    pub(crate) is_end: bool,
    /// Its control messages.
    pub(crate) control: Vec<ControlMessage<ReceivedRights>>,
}

/// Receives at most `length` bytes. Corresponds to recvfrom(2), and to recv(2) without `want_address`.
///
/// Control messages are dropped by the kernel, descriptors in them closed; if there were any, `flags` has CTRUNC. A `length` of
/// more than 2 MiB is EINVAL.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    length: usize,
    flags: MessageFlags,
    framing: Framing,
    want_address: bool,
) -> io::Result<Received> {
    let mode = Mode::new(fd, flags, framing);
    let layout = Layout {
        count: 1,
        length,
        control_length: 0,
        want_address,
    };
    with_scratch(layout, mode, |scratch| {
        let header = &mut scratch.headers[0];
        // SAFETY: `lay_out` has filled the header with pointers to room of the lengths beside them, which is not touched until
        // the call has returned.
        let returned = check_length(unsafe {
            libc::recvmsg(fd.as_raw_fd(), &raw mut header.msg_hdr, mode.flags)
        })?;
        // SAFETY: the kernel has just filled this message.
        Ok(unsafe { scratch.take(0, returned) })
    })
}

/// Receives the messages that are there, at most `count` (and 1,024), each with at most `length` bytes, its address, and at most
/// `control_length` bytes (and 16,384) of control messages. An error comes alone: after messages, the kernel keeps it for the
/// next call. Corresponds to recvmmsg(2). `count` times `length` over 2 MiB is EINVAL.
///
/// At the end of a stream the kernel returns `count` empty messages.
pub(crate) fn receive_messages(
    fd: BorrowedFd<'_>,
    count: usize,
    length: usize,
    control_length: usize,
    flags: MessageFlags,
    framing: Framing,
) -> io::Result<Vec<Received>> {
    let mut mode = Mode::new(fd, flags, framing);
    // Descriptors come over AF_UNIX alone, and some others, such as AF_PACKET, refuse a flag that they do not know.
    if control_length > 0 && domain(fd).is_ok_and(|domain| domain == libc::AF_UNIX) {
        mode.flags |= libc::MSG_CMSG_CLOEXEC;
    }
    let layout = Layout {
        count: count.min(MAX_MESSAGES),
        length,
        control_length: control_length.min(MAX_CONTROL),
        want_address: true,
    };
    with_scratch(layout, mode, |scratch| {
        let count = u32::try_from(layout.count).expect("there are at most 1,024 messages");
        // SAFETY: `lay_out` has filled `count` headers with pointers to room of the lengths beside them, which is not touched
        // until the call has returned. There is no timeout to point to.
        let received = check(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                scratch.headers.as_mut_ptr(),
                count,
                mode.flags as _,
                ptr::null_mut(),
            )
        })?;
        let received = usize::try_from(received).expect("check() let no negative count through");
        let take = |index: usize| {
            let returned = scratch.headers[index].msg_len as usize;
            // SAFETY: the kernel has just filled the first `received` messages, and each is taken once.
            unsafe { scratch.take(index, returned) }
        };
        Ok((0..received).map(take).collect())
    })
}

/// How a receive is made, and what the kernel does with the buffer.
#[derive(Clone, Copy, Default)]
struct Mode {
    /// The kernel's number for the flags.
    flags: c_int,
    /// The kernel does not write what it counts.
    discards: bool,
    /// It is not known whether it does.
    may_discard: bool,
}

impl Mode {
    fn new(fd: BorrowedFd<'_>, flags: MessageFlags, framing: Framing) -> Self {
        let asked = kernel_flags(flags) & !MSG_SOCK_DEVMEM;
        let flags = asked | libc::MSG_DONTWAIT;
        if framing == Framing::Message {
            return Self {
                // It makes the kernel return the message's whole length, and changes nothing else.
                flags: flags | libc::MSG_TRUNC,
                ..Self::default()
            };
        }
        // On a stream, MSG_TRUNC makes TCP and MPTCP discard what they count, while AF_UNIX ignores it and writes. The error queue
        // is always written.
        let trunc = asked & libc::MSG_TRUNC != 0 && asked & libc::MSG_ERRQUEUE == 0;
        let discards = trunc
            && domain(fd).is_ok_and(|domain| matches!(domain, libc::AF_INET | libc::AF_INET6));
        Self {
            flags,
            discards,
            may_discard: trunc && !discards,
        }
    }
}

/// What a call needs room for.
#[derive(Clone, Copy, Default)]
struct Layout {
    count: usize,
    length: usize,
    control_length: usize,
    want_address: bool,
}

/// What the kernel writes into. Each thread has one and keeps it, so that a receive that waits owns no memory, and one that does
/// not takes none but for what it returns. Room that was never written takes address space alone, being fresh zeroed memory.
#[derive(Default)]
struct Scratch {
    layout: Layout,
    mode: Mode,
    data: Vec<u8>,
    control: Vec<u8>,
    names: Vec<sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Calls `receive` with this thread's scratch, laid out for it.
fn with_scratch<T>(
    layout: Layout,
    mode: Mode,
    receive: impl FnOnce(&mut Scratch) -> io::Result<T>,
) -> io::Result<T> {
    let data_length = layout
        .count
        .checked_mul(layout.length)
        .filter(|&length| length <= MAX_DATA)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.lay_out(layout, mode, data_length);
        let result = receive(scratch);
        if scratch.control.len() > MAX_KEPT_CONTROL {
            scratch.control = Vec::new();
        }
        result
    })
}

impl Scratch {
    /// Makes room for `layout`, and fills the headers with pointers to it.
    fn lay_out(&mut self, layout: Layout, mode: Mode, data_length: usize) {
        let Layout {
            count,
            length,
            control_length,
            want_address,
        } = layout;
        (self.layout, self.mode) = (layout, mode);
        grow(&mut self.data, data_length);
        grow(&mut self.control, count * control_length);
        if self.headers.len() < count {
            // SAFETY: all-zero is a valid sockaddr_storage, iovec and mmsghdr: integers and null pointers.
            unsafe {
                self.names.resize(count, std::mem::zeroed());
                self.vectors.resize(count, std::mem::zeroed());
                self.headers.resize(count, std::mem::zeroed());
            }
        }
        if mode.may_discard {
            // Zeros are then the worst that is returned, never what an earlier call has left.
            self.data[..data_length].fill(0);
        }

        let (data, control) = (self.data.as_mut_ptr(), self.control.as_mut_ptr());
        let slots = self
            .headers
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(&mut self.names);
        for (index, ((header, vector), name)) in slots.take(count).enumerate() {
            vector.iov_base = data.wrapping_add(index * length).cast();
            vector.iov_len = length;
            header.msg_len = 0;
            let header = &mut header.msg_hdr;
            header.msg_flags = 0;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            (header.msg_name, header.msg_namelen) = if want_address {
                (ptr::from_mut(name).cast(), NAME_LENGTH)
            } else {
                (ptr::null_mut(), 0)
            };
            header.msg_control = match control_length {
                0 => ptr::null_mut(),
                _ => control.wrapping_add(index * control_length).cast(),
            };
            header.msg_controllen = control_length as _;
        }
    }

    /// The message that the kernel has put in place `index`, for which it `returned` a length.
    ///
    /// # Safety
    ///
    /// The call has filled that place, and the message was not taken before: it owns descriptors.
    unsafe fn take(&self, index: usize, returned: usize) -> Received {
        let Layout {
            length,
            control_length,
            ..
        } = self.layout;
        let header = &self.headers[index].msg_hdr;
        let written = match self.mode.discards {
            true => 0,
            false => returned.min(length),
        };
        let name: *const sockaddr_storage = &raw const self.names[index];
        // SAFETY: `names` is initialised throughout, and the length is cut to that of one entry.
        let name = unsafe {
            std::slice::from_raw_parts(name.cast(), header.msg_namelen.min(NAME_LENGTH) as usize)
        };
        let control = &self.control[index * control_length..];
        let control = &control[..control_length.min(header.msg_controllen as _)];
        Received {
            data: Bytes::copy_from_slice(&self.data[index * length..][..written]),
            address: address::decode(name),
            flags: received_flags(header.msg_flags),
            full_length: returned,
            is_end: false,
            // SAFETY: the kernel has just written it, and by this function's contract it is decoded once.
            control: unsafe { control::decode(control) },
        }
    }
}

/// Makes `buffer` at least `length` bytes long. What it held is of no use to anyone, and so is not copied.
fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        *buffer = Vec::new();
        *buffer = vec![0; length.next_power_of_two()];
    }
}
