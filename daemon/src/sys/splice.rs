//! splice(2): bytes that go from one socket to another through a pipe, without a copy to this process.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use super::errno::{check, check_length, invalid};

/// How many bytes one [`Pipe::fill`] takes at most. A pipe of the usual size holds 16 parts of skbs of up to 32 KiB, or 16 pages.
pub(crate) const MOST: usize = 256 * 1024;

/// A pipe between two sockets. Its descriptors are closed with it, and bytes that it still holds are lost.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// How many bytes are in it: at most [`MOST`].
    held: usize,
}

impl Pipe {
    /// An empty pipe; none if splice(2) would not do here: it cannot be told to send no SIGPIPE, so that signal must be ignored, as it
    /// is in every Rust program that has not changed it. Corresponds to pipe2(2).
    pub(crate) fn new() -> io::Result<Option<Self>> {
        if !is_broken_pipe_ignored()? {
            return Ok(None);
        }
        let mut fds = [-1; 2];
        // SAFETY: `fds` has room for two descriptors.
        check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
        // SAFETY: the kernel has just made these descriptors for us.
        let [read, write] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Some(Self {
            read,
            write,
            held: 0,
        }))
    }

    /// How many bytes are in it.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes bytes from a socket into the pipe, which must be empty: a full one would say EAGAIN as a socket without bytes does. 0: the
    /// end of the stream, or an urgent byte before the end. EAGAIN: no bytes, or an urgent byte before them. EINVAL: the socket knows no
    /// splice(2), or not in its state. Corresponds to splice(2).
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_eq!(self.held, 0);
        let taken = splice(from, self.write.as_fd(), MOST)?;
        self.held += taken;
        Ok(taken)
    }

    /// Gives bytes of the pipe to a socket; how many it took. EINVAL: the socket knows no splice(2). Corresponds to splice(2).
    pub(crate) fn drain(&mut self, to: BorrowedFd<'_>) -> io::Result<usize> {
        let given = splice(self.read.as_fd(), to, self.held)?;
        self.held -= given;
        Ok(given)
    }

    /// Takes all bytes out of the pipe. Corresponds to read(2).
    pub(crate) fn take(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.held];
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            // SAFETY: `rest` is writable for its length.
            let count = check_length(unsafe {
                libc::read(self.read.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len())
            })?;
            if count == 0 {
                break;
            }
            done += count;
            self.held -= count;
        }
        bytes.truncate(done);
        Ok(bytes)
    }
}

/// One splice(2), which answers at once. That of a TCP socket looks at nothing but the O_NONBLOCK of the open socket, which others may have
/// too (SCM_RIGHTS) and take away: then EINVAL sends the caller to the calls that have MSG_DONTWAIT.
fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    for fd in [from, to] {
        // SAFETY: F_GETFL takes no argument.
        let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
        if flags & libc::O_NONBLOCK == 0 {
            return Err(invalid());
        }
    }
    // SAFETY: there are no offsets to point to.
    check_length(unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            most,
            libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
        )
    })
}

/// Whether SIGPIPE does nothing in this process.
fn is_broken_pipe_ignored() -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the old one.
    check(unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: the call has written it, and all-zero was valid already.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use farsock_proto::{
        message::MessageFlags,
        socket::{Domain, Protocol, SocketType},
    };

    use super::*;
    use crate::sys::{
        message::{Inbound, receive, send},
        socket::pair,
        testing::errno,
    };

    fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
        pair(Domain::Unix, SocketType::Stream, Protocol::Default)
    }

    #[test]
    fn bytes_go_through_the_pipe_in_order_and_are_counted() -> io::Result<()> {
        let (near, a) = stream_pair()?;
        let (b, far) = stream_pair()?;
        let mut pipe = Pipe::new()?.expect("tests ignore SIGPIPE");
        assert_eq!(errno(pipe.fill(a.as_fd())), Some(libc::EAGAIN));
        send(near.as_fd(), b"hello", MessageFlags::NONE, None)?;
        assert_eq!(pipe.fill(a.as_fd())?, 5);
        assert_eq!(pipe.held(), 5);
        assert_eq!(pipe.drain(b.as_fd())?, 5);
        assert_eq!(pipe.held(), 0);
        let received = receive(Inbound::of(&far)?, 9, MessageFlags::NONE, false)?;
        assert_eq!(received.data, "hello");
        drop(near);
        assert_eq!(pipe.fill(a.as_fd())?, 0);
        Ok(())
    }

    #[test]
    fn what_a_socket_does_not_take_can_be_taken_out_of_the_pipe() -> io::Result<()> {
        let (near, a) = stream_pair()?;
        let (b, far) = stream_pair()?;
        let mut pipe = Pipe::new()?.expect("tests ignore SIGPIPE");
        send(near.as_fd(), b"hello", MessageFlags::NONE, None)?;
        assert_eq!(pipe.fill(a.as_fd())?, 5);
        drop(far);
        assert_eq!(errno(pipe.drain(b.as_fd())), Some(libc::EPIPE));
        assert_eq!(pipe.take()?, b"hello");
        assert_eq!(pipe.held(), 0);
        Ok(())
    }

    #[test]
    fn a_socket_that_would_block_is_not_spliced() -> io::Result<()> {
        let (_near, a) = stream_pair()?;
        let mut pipe = Pipe::new()?.expect("tests ignore SIGPIPE");
        // SAFETY: F_SETFL takes an int.
        check(unsafe { libc::fcntl(a.as_raw_fd(), libc::F_SETFL, 0) })?;
        assert_eq!(errno(pipe.fill(a.as_fd())), Some(libc::EINVAL));
        Ok(())
    }
}
