//! What the tests of this module share.

use std::{
    ffi::c_int,
    io,
    mem::size_of_val,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use farsock_proto::{
    address::Address,
    socket::{Domain, Protocol, SocketType},
};

use super::{
    errno::check,
    socket::{Events, bind, create, local_address},
};

/// An internet address.
pub(super) fn ip(text: &str) -> Address {
    Address::Ip(text.parse().expect("an address in a test"))
}

/// The errno that a call ended with.
pub(super) fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// A UDP socket bound to a free port of the address, and its own address.
pub(super) fn udp(address: &str) -> io::Result<(OwnedFd, Address)> {
    let address = ip(address);
    let domain = match address {
        Address::Ip(ip) if ip.is_ipv6() => Domain::Inet6,
        _ => Domain::Inet,
    };
    let fd = create(domain, SocketType::Dgram, Protocol::Default)?;
    bind(fd.as_fd(), &address)?;
    let address = local_address(fd.as_fd())?.expect("a bound socket has an address");
    Ok((fd, address))
}

/// Waits, up to 10 seconds, until the socket has one of the events.
pub(super) fn wait(fd: impl AsFd, events: Events) -> io::Result<()> {
    let mut entry = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: events.epoll_bits().try_into().expect("events of poll"),
        revents: 0,
    };
    // SAFETY: it is one writable entry.
    match check(unsafe { libc::poll(&raw mut entry, 1, 10_000) })? {
        0 => panic!("no {events:?} came"),
        _ => Ok(()),
    }
}

/// Takes O_NONBLOCK away, as anybody can who has the open socket.
pub(crate) fn set_blocking(fd: impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(&fd).set_nonblocking(false)
}

/// Sets SO_RCVLOWAT.
pub(crate) fn set_low_water(fd: impl AsFd, bytes: c_int) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// Sets IP_RECVERR, and SO_SELECT_ERR_QUEUE as said: poll(2) then reports PRI beside ERR.
pub(crate) fn queue_errors(fd: impl AsFd, select: bool) -> io::Result<()> {
    let fd = fd.as_fd();
    set(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_SELECT_ERR_QUEUE,
        select.into(),
    )
}

/// Sets an option that is an int.
pub(super) fn set(fd: impl AsFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = size_of_val(&value).try_into().expect("an int's size");
    // SAFETY: `value` is readable for its size.
    check(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            len,
        )
    })
    .map(drop)
}
