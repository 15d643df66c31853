//! The memory that receives write into.
//!
//! Each thread has one, for all owners, so that a receive that waits owns no memory, and one that does not takes none but for what it
//! returns. What one owner received must not reach another, so:
//!
//! - Nothing leaves it but by [`Scratch::take`], which gives what the call has written. Where the call's result does not say how much that
//!   is, the memory is zeroed before ([`Written::Unknown`]).
//! - What was taken is zeroed: a result that is wrong, for whatever reason, finds zeros.

use std::{cell::RefCell, io, mem::size_of, ptr};

use bytes::Bytes;
use libc::sockaddr_storage;

use super::{
    Received,
    mode::{Mode, Written},
    received_flags,
};
use crate::sys::{address, control};

/// How many bytes a call can receive at most, all its messages together.
pub(super) const MAX_DATA: usize = 2 << 20;
/// How large a control buffer a thread keeps.
const MAX_KEPT_CONTROL: usize = 2 << 20;

/// The length of a sockaddr_storage.
const NAME_LENGTH: libc::socklen_t = 128;
const _: () = assert!(size_of::<sockaddr_storage>() == 128);

/// What a call needs room for.
#[derive(Clone, Copy, Default)]
pub(super) struct Layout {
    pub(super) count: usize,
    pub(super) length: usize,
    pub(super) control_length: usize,
    pub(super) want_address: bool,
}

/// What the kernel writes into. Room that was never written takes address space alone, being fresh zeroed memory.
#[derive(Default)]
pub(super) struct Scratch {
    layout: Layout,
    written: Written,
    data: Vec<u8>,
    control: Vec<u8>,
    names: Vec<sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Calls `receive` with this thread's scratch, laid out for it. EINVAL: it needs more than 2 MiB for data.
pub(super) fn with_scratch<T>(
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
        scratch.lay_out(layout, mode.written, data_length);
        let result = receive(scratch);
        if scratch.control.len() > MAX_KEPT_CONTROL {
            scratch.control = Vec::new();
        }
        result
    })
}

impl Scratch {
    /// The headers that were laid out, one for each message, with pointers to room of the lengths beside them.
    pub(super) fn headers(&mut self) -> &mut [libc::mmsghdr] {
        &mut self.headers[..self.layout.count]
    }

    /// Makes room for `layout`, and fills the headers with pointers to it.
    fn lay_out(&mut self, layout: Layout, written: Written, data_length: usize) {
        let Layout {
            count,
            length,
            control_length,
            want_address,
        } = layout;
        (self.layout, self.written) = (layout, written);
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
        if written == Written::Unknown {
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

    /// The message that the kernel has put in place `index`, for which it `returned` a length and wrote at most `extent` bytes. The place
    /// is zeroed.
    ///
    /// # Safety
    ///
    /// The call has filled that place, and the message was not taken before: it owns descriptors.
    pub(super) unsafe fn take(&mut self, index: usize, returned: usize, extent: usize) -> Received {
        let Layout {
            length,
            control_length,
            ..
        } = self.layout;
        let header = &self.headers[index].msg_hdr;
        let data = &mut self.data[index * length..][..returned.min(length)];
        let written = match self.written {
            Written::Nothing => 0,
            Written::Returned | Written::Unknown => data.len().min(extent),
        };
        let name: *mut sockaddr_storage = &raw mut self.names[index];
        // SAFETY: `names` is initialised throughout, any bytes are a valid address, and the length is cut to that of one entry.
        let name = unsafe {
            std::slice::from_raw_parts_mut(
                name.cast(),
                header.msg_namelen.min(NAME_LENGTH) as usize,
            )
        };
        let control = &mut self.control[index * control_length..];
        let control = &mut control[..control_length.min(header.msg_controllen as _)];
        let received = Received {
            data: Bytes::copy_from_slice(&data[..written]),
            address: address::decode(name),
            flags: received_flags(header.msg_flags),
            full_length: returned,
            is_end: false,
            // SAFETY: the kernel has just written it, and by this function's contract it is decoded once.
            control: unsafe { control::decode(control) },
            position: Received::NOWHERE,
        };
        data.fill(0);
        name.fill(0);
        control.fill(0);
        received
    }
}

/// Makes `buffer` at least `length` bytes long. What it held is of no use to anyone, and so is not copied.
fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        *buffer = Vec::new();
        *buffer = vec![0; length.next_power_of_two()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets `write` act as the kernel, and takes the one message.
    fn received(
        written: Written,
        layout: Layout,
        returned: usize,
        write: impl FnOnce(&mut libc::msghdr, &mut [u8], &mut [u8]),
    ) -> Received {
        let mode = Mode {
            written,
            ..Mode::default()
        };
        with_scratch(layout, mode, |scratch| {
            let Layout {
                length,
                control_length,
                ..
            } = layout;
            let header = &mut scratch.headers[0].msg_hdr;
            (header.msg_namelen, header.msg_controllen) = (0, 0);
            write(
                header,
                &mut scratch.data[..length],
                &mut scratch.control[..control_length],
            );
            // SAFETY: it holds no descriptors.
            Ok(unsafe { scratch.take(0, returned, usize::MAX) })
        })
        .expect("there is room")
    }

    fn layout(length: usize) -> Layout {
        Layout {
            count: 1,
            length,
            control_length: 64,
            want_address: true,
        }
    }

    #[test]
    fn a_result_that_is_too_large_finds_nothing_of_what_was_received_before() {
        for written in [Written::Returned, Written::Unknown, Written::Nothing] {
            for (before, after) in [(64, 64), (64, 32), (16, 64)] {
                let secret = received(Written::Returned, layout(before), before, |_, data, _| {
                    data.fill(b'S');
                });
                assert_eq!(secret.data, vec![b'S'; before]);
                let next = received(written, layout(after), usize::MAX, |_, data, _| {
                    data[..4].fill(b'n');
                });
                assert_eq!(next.full_length, usize::MAX);
                assert!(
                    next.data.iter().all(|byte| matches!(byte, b'n' | 0)),
                    "{:?}",
                    next.data
                );
            }
        }
    }

    #[test]
    fn a_length_of_a_name_or_of_control_messages_that_is_too_large_finds_zeros() {
        received(Written::Returned, layout(8), 0, |header, _, control| {
            // A path, and a control message of an unknown kind.
            let address = [1, 0, b'S', b'S', b'S', b'S', b'S', b'S'];
            // SAFETY: there is room for 128 bytes.
            unsafe { ptr::copy_nonoverlapping(address.as_ptr(), header.msg_name.cast(), 8) };
            header.msg_namelen = 8;
            control.fill(b'S');
            control[..8].copy_from_slice(&64_usize.to_ne_bytes());
            header.msg_controllen = 64;
        });
        let next = received(Written::Returned, layout(8), 0, |header, _, control| {
            header.msg_namelen = 128;
            header.msg_controllen = 64;
            assert!(control.iter().all(|byte| *byte == 0));
        });
        assert!(next.control.is_empty());
        assert_eq!(
            next.address,
            Some(farsock_proto::address::Address::Unspecified)
        );
    }

    #[test]
    fn what_may_not_be_written_is_zeroed_before() {
        // As a call that fails leaves what it had written.
        let mode = Mode::default();
        let failed: io::Result<()> = with_scratch(layout(64), mode, |scratch| {
            scratch.data[..64].fill(b'S');
            Err(io::Error::from_raw_os_error(libc::EAGAIN))
        });
        assert!(failed.is_err());
        let next = received(Written::Unknown, layout(64), 64, |_, data, _| {
            data[..4].fill(b'n');
        });
        assert_eq!(&next.data[..4], b"nnnn");
        assert_eq!(&next.data[4..], [0; 60]);
    }
}
