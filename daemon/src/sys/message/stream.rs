//! recv(2) and writev(2) for streams of bytes, without a copy.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
};

use bytes::{BufMut, Bytes, BytesMut};

use crate::sys::errno::check_length;

/// How many pieces go with one call.
const MAX_PIECES: usize = 64;

/// Receives at most `most` bytes behind what `buffer` holds, as far as it has room without growing, and returns how many. Corresponds
/// to recv(2) with MSG_DONTWAIT.
pub(crate) fn receive_into(
    fd: BorrowedFd<'_>,
    buffer: &mut BytesMut,
    most: usize,
) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let length = room.len().min(most);
    // SAFETY: `room` is writable for `length` bytes, which need not be initialised to be written.
    let received = check_length(unsafe {
        libc::recv(
            fd.as_raw_fd(),
            room.as_mut_ptr().cast(),
            length,
            libc::MSG_DONTWAIT,
        )
    })?;
    // Without MSG_TRUNC the kernel returns what it has written; a count above the room would be undefined below.
    let received = received.min(length);
    // SAFETY: the kernel has just written `received` bytes there, and they are within the capacity.
    unsafe { buffer.advance_mut(received) };
    Ok(received)
}

/// Sends the pieces of `data`, as many as go with one call, and returns how many bytes the kernel took. Corresponds to sendmsg(2) with
/// MSG_DONTWAIT and MSG_NOSIGNAL.
pub(crate) fn send_pieces<'a>(
    fd: BorrowedFd<'_>,
    data: impl IntoIterator<Item = &'a Bytes>,
) -> io::Result<usize> {
    // SAFETY: all-zero is a valid iovec, of a null pointer and no length.
    let mut vectors: [libc::iovec; MAX_PIECES] = unsafe { mem::zeroed() };
    let mut count: usize = 0;
    for (vector, piece) in vectors.iter_mut().zip(data) {
        vector.iov_base = piece.as_ptr().cast_mut().cast();
        vector.iov_len = piece.len();
        count += 1;
    }
    // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = count as _;
    // SAFETY: the first `count` vectors are those of pieces that outlive the call; the kernel only reads through them, and without
    // MSG_ZEROCOPY it is done with them when it returns.
    check_length(unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &raw const header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::{fd::AsFd as _, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn bytes_are_received_behind_what_the_buffer_holds_and_not_beyond_its_room() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"0123456789").unwrap();
        let mut buffer = BytesMut::with_capacity(16);
        buffer.extend_from_slice(b"head");
        let capacity = buffer.capacity();
        assert_eq!(receive_into(near.as_fd(), &mut buffer, 3).unwrap(), 3);
        assert_eq!(&buffer[..], b"head012");
        assert_eq!(receive_into(near.as_fd(), &mut buffer, 100).unwrap(), 7);
        assert_eq!(&buffer[..], b"head0123456789");
        assert_eq!(buffer.capacity(), capacity);
        let nothing = receive_into(near.as_fd(), &mut buffer, 100).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(far);
        assert_eq!(receive_into(near.as_fd(), &mut buffer, 2).unwrap(), 0);
    }

    #[test]
    fn pieces_are_sent_in_order_up_to_what_one_call_takes() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let pieces: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; 3])).collect();
        assert_eq!(send_pieces(near.as_fd(), &pieces).unwrap(), MAX_PIECES * 3);
        assert_eq!(
            send_pieces(near.as_fd(), &pieces[MAX_PIECES..]).unwrap(),
            36 * 3
        );
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        assert_eq!(all, pieces.concat());
    }

    #[test]
    fn a_gone_peer_is_an_error_and_no_signal() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let error = send_pieces(near.as_fd(), [&Bytes::from_static(b"x")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
