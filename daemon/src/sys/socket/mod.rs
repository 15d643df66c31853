//! Sockets: socket(2), bind(2), accept(2), connect(2) and their relatives, one function each.

mod info;
mod kind;
mod poll;

use std::{
    ffi::c_int,
    io,
    mem::size_of,
    net::Shutdown,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
    time::Duration,
};

use farsock_proto::{
    address::Address,
    socket::{Domain, Protocol, ShutdownHow, SocketType},
};
use socket2::SockRef;

use super::{
    address::{SockAddr, encode},
    errno::check,
};

pub(crate) use info::{
    Onward, State, at_mark, drops, inode, is_listening, is_pipe, is_socket, may_go_on,
    receive_queue, send_queue, state,
};
pub(in crate::sys) use kind::domain;
pub(crate) use kind::{Kind, check_listed, kind};
pub(crate) use poll::{Events, poll, poll_one};

/// What every descriptor of the daemon's sockets has.
const DESCRIPTOR_FLAGS: c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

/// Whether [`create`] and [`pair`] may take their time: for a family or protocol that it does not know the kernel looks for a module
/// (request_module), which runs a program. Of these it knows all.
pub(crate) fn may_load_a_module(domain: Domain, kind: SocketType, protocol: Protocol) -> bool {
    !matches!(
        (domain, kind, protocol),
        (
            Domain::Unix,
            SocketType::Stream | SocketType::Dgram | SocketType::Seqpacket,
            Protocol::Default
        ) | (
            Domain::Inet | Domain::Inet6,
            SocketType::Stream,
            Protocol::Default | Protocol::Tcp
        ) | (
            Domain::Inet | Domain::Inet6,
            SocketType::Dgram,
            Protocol::Default | Protocol::Udp
        )
    )
}

/// Whether [`bind`] may take its time: on a unix socket it makes a file, and of AF_PACKET it waits until no processor can be within the
/// socket any more.
pub(crate) fn binds_slowly(kind: Kind) -> bool {
    matches!(kind.domain, libc::AF_UNIX | libc::AF_PACKET)
}

/// Creates a socket. Corresponds to socket(2). SOCK_NONBLOCK and SOCK_CLOEXEC within `kind` change nothing: both are always set.
pub(crate) fn create(domain: Domain, kind: SocketType, protocol: Protocol) -> io::Result<OwnedFd> {
    let Kind {
        domain,
        kind,
        protocol,
    } = Kind::of(domain, kind, protocol);
    // SAFETY: socket takes no pointers.
    let fd = check(unsafe { libc::socket(domain, kind | DESCRIPTOR_FLAGS, protocol) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Creates two sockets connected with each other. Corresponds to socketpair(2).
pub(crate) fn pair(
    domain: Domain,
    kind: SocketType,
    protocol: Protocol,
) -> io::Result<(OwnedFd, OwnedFd)> {
    let Kind {
        domain,
        kind,
        protocol,
    } = Kind::of(domain, kind, protocol);
    let mut fds = [-1; 2];
    // SAFETY: `fds` has room for two descriptors.
    check(unsafe {
        libc::socketpair(domain, kind | DESCRIPTOR_FLAGS, protocol, fds.as_mut_ptr())
    })?;
    // SAFETY: the kernel has just made these descriptors for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Gives a socket a local address. Corresponds to bind(2).
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
    let address = encode(address);
    // SAFETY: pointer and length are those of one address.
    check(unsafe { libc::bind(fd.as_raw_fd(), address.as_ptr(), address.len()) })?;
    Ok(())
}

/// Makes a socket listen. Corresponds to listen(2).
pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    SockRef::from(&fd).listen(backlog)
}

/// Takes a connection from a listening socket's queue, with the peer's address. Waits unless the descriptor is non-blocking: see
/// [`stay_nonblocking`]. Corresponds to accept4(2).
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<Address>)> {
    SockAddr::filled_by(|address, len| {
        // SAFETY: `address` has room for the length that `len` points to.
        let fd = check(unsafe { libc::accept4(fd.as_raw_fd(), address, len, DESCRIPTOR_FLAGS) })?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    })
}

/// Connects a socket, or begins to: EINPROGRESS. Waits unless the descriptor is non-blocking: see [`stay_nonblocking`]. Corresponds to
/// connect(2).
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
    let address = encode(address);
    // SAFETY: pointer and length are those of one address.
    check(unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr(), address.len()) })?;
    Ok(())
}

/// Sees to it that [`accept`] and [`connect`] answer at once: O_NONBLOCK is a flag of the open socket, and who else has that may have taken it
/// away. Corresponds to fcntl(2), F_GETFL, and F_SETFL if need be.
pub(crate) fn stay_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_nonblocking(true)
}

/// Ends one or both directions of a connection. Corresponds to shutdown(2).
pub(crate) fn shutdown(fd: BorrowedFd<'_>, how: ShutdownHow) -> io::Result<()> {
    SockRef::from(&fd).shutdown(match how {
        ShutdownHow::Read => Shutdown::Read,
        ShutdownHow::Write => Shutdown::Write,
        ShutdownHow::Both => Shutdown::Both,
    })
}

/// The socket's own address. Corresponds to getsockname(2).
pub(crate) fn local_address(fd: BorrowedFd<'_>) -> io::Result<Option<Address>> {
    let ((), address) = SockAddr::filled_by(|address, len| {
        // SAFETY: `address` has room for the length that `len` points to.
        check(unsafe { libc::getsockname(fd.as_raw_fd(), address, len) }).map(drop)
    })?;
    Ok(address)
}

/// The address of the socket's peer. Corresponds to getpeername(2).
pub(crate) fn peer_address(fd: BorrowedFd<'_>) -> io::Result<Option<Address>> {
    let ((), address) = SockAddr::filled_by(|address, len| {
        // SAFETY: `address` has room for the length that `len` points to.
        check(unsafe { libc::getpeername(fd.as_raw_fd(), address, len) }).map(drop)
    })?;
    Ok(address)
}

/// Where an internet socket connects to, or is connected with: SO_PEERNAME, which has it before the connection is there; `None` once
/// TCP has been disconnected.
pub(crate) fn destination(fd: BorrowedFd<'_>) -> io::Result<Option<Address>> {
    // The option refuses more room than the address takes.
    let exact = match domain(fd)? {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        _ => size_of::<libc::sockaddr_in6>(),
    };
    let exact = exact
        .try_into()
        .expect("a sockaddr has fewer bytes than any integer can count");
    let asked = SockAddr::filled_by(|address, len| {
        // SAFETY: `len` points to a length, less than what `address` has room for.
        unsafe { *len = exact };
        // SAFETY: `address` has room for the length that `len` points to.
        check(unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERNAME,
                address.cast(),
                len,
            )
        })
    });
    match asked {
        Ok((_, address)) => Ok(address),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(None),
        Err(error) => Err(error),
    }
}

/// Closes a descriptor. Corresponds to close(2). This is the one call here that can wait: if the socket has a [`linger`] time, or if the
/// descriptor is no socket. The descriptor is gone whatever the result, so EINTR counts as closed.
pub(crate) fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was ours alone and is given up here.
    match check(unsafe { libc::close(fd.into_raw_fd()) }) {
        Err(error) if error.raw_os_error() == Some(libc::EINTR) => Ok(()),
        result => result.map(drop),
    }
}

/// Makes close(2) reset a TCP connection: SO_LINGER, on with 0 seconds.
pub(crate) fn set_linger_zero(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_linger(Some(Duration::ZERO))
}

/// Makes close(2) leave to the kernel what is queued: SO_LINGER, off.
pub(crate) fn set_no_linger(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_linger(None)
}

/// How long [`close`] may wait for queued data: SO_LINGER, if it is on with more than 0 seconds.
pub(crate) fn linger(fd: BorrowedFd<'_>) -> Option<Duration> {
    let time = SockRef::from(&fd).linger().ok().flatten();
    time.filter(|time| *time > Duration::ZERO)
}

/// Whether [`close`] may take its time though nothing lingers: if the socket is of AF_PACKET, whose close waits until no processor can be
/// within it any more (some 10 ms), or if the descriptor is no socket: of a file, the close may wait for a file system elsewhere.
pub(crate) fn closes_slowly(fd: BorrowedFd<'_>) -> bool {
    domain(fd).map_or(true, |domain| domain == libc::AF_PACKET)
}

/// Takes the socket's pending error, which clears it. Corresponds to SO_ERROR.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    SockRef::from(&fd).take_error()
}

/// How long a receive or accept shall wait: SO_RCVTIMEO; `None` if without limit.
pub(crate) fn receive_timeout(fd: BorrowedFd<'_>) -> Option<Duration> {
    SockRef::from(&fd).read_timeout().ok().flatten()
}

/// How long a send or connect shall wait: SO_SNDTIMEO; `None` if without limit.
pub(crate) fn send_timeout(fd: BorrowedFd<'_>) -> Option<Duration> {
    SockRef::from(&fd).write_timeout().ok().flatten()
}

/// How many bytes there must be for a receive on a stream to end its wait: SO_RCVLOWAT; 1 if the kernel does not tell.
pub(crate) fn receive_low_water(fd: BorrowedFd<'_>) -> usize {
    integer_option(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or(1)
}

/// Sets SO_RCVLOWAT. A socket that has been told it once can be told again.
pub(crate) fn set_receive_low_water(fd: BorrowedFd<'_>, bytes: usize) {
    let value = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let length = size_of::<c_int>()
        .try_into()
        .expect("an int has fewer bytes than any integer can count");
    // SAFETY: `value` is readable for `length` bytes.
    let set = check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            length,
        )
    });
    debug_assert!(set.is_ok(), "SO_RCVLOWAT: {set:?}");
}

/// Whether a unix socket tells its writers' credentials: SO_PASSCRED.
pub(crate) fn passes_credentials(fd: BorrowedFd<'_>) -> bool {
    integer_option(fd, libc::SOL_SOCKET, libc::SO_PASSCRED).is_ok_and(|on| on != 0)
}

/// Whether a peek begins where the last one ended: SO_PEEK_OFF is not negative.
pub(crate) fn peeks_onward(fd: BorrowedFd<'_>) -> bool {
    peek_offset(fd).is_ok_and(|offset| offset >= 0)
}

/// SO_PEEK_OFF.
pub(in crate::sys) fn peek_offset(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    integer_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF)
}

/// Sets SO_PEEK_OFF.
pub(in crate::sys) fn set_peek_offset(fd: BorrowedFd<'_>, offset: c_int) -> io::Result<()> {
    let length = size_of::<c_int>()
        .try_into()
        .expect("an int has fewer bytes than any integer can count");
    // SAFETY: `offset` is readable for `length` bytes.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw const offset).cast(),
            length,
        )
    })
    .map(drop)
}

/// Reads an option that is an int. Corresponds to getsockopt(2).
pub(in crate::sys) fn integer_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>()
        .try_into()
        .expect("an int has fewer bytes than any integer can count");
    // SAFETY: `value` is writable for `len` bytes, and any bits are a valid int.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests;
