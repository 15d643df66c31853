//! What ss(8) shows of a socket: state, queues, the out-of-band mark, the inode.

use std::{
    ffi::{c_int, c_ulong},
    io,
    mem::{MaybeUninit, size_of},
    os::fd::{AsRawFd, BorrowedFd},
};

use super::{integer_option, kind, peer_address};
use crate::sys::errno::check;

/// A socket's state, by the names ss(8) uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The kernel does not tell a state for this kind of socket.
    Unspecified,
    /// Neither connected nor listening.
    Unconnected,
    /// TCP's SYN-SENT.
    SynSent,
    /// TCP's SYN-RECEIVED.
    SynReceived,
    /// Connected.
    Established,
    /// TCP's FIN-WAIT-1.
    FinWait1,
    /// TCP's FIN-WAIT-2.
    FinWait2,
    /// TCP's TIME-WAIT.
    TimeWait,
    /// TCP's CLOSE-WAIT.
    CloseWait,
    /// TCP's LAST-ACK.
    LastAck,
    /// Listening.
    Listen,
    /// TCP's CLOSING.
    Closing,
}

/// The socket's state: TCP's own, or what SO_ACCEPTCONN and getpeername(2) tell.
pub(crate) fn state(fd: BorrowedFd<'_>) -> State {
    if let Some(info) = tcp_info(fd) {
        return tcp_state(info.tcpi_state);
    }
    if is_listening(fd) {
        return State::Listen;
    }
    match peer_address(fd) {
        // A netlink socket always has a peer, the kernel, connected or not.
        Ok(_) if kind(fd).is_ok_and(|kind| kind.domain == libc::AF_NETLINK) => State::Unspecified,
        Ok(_) => State::Established,
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => State::Unconnected,
        Err(_) => State::Unspecified,
    }
}

/// Whether the socket listens: SO_ACCEPTCONN.
pub(crate) fn is_listening(fd: BorrowedFd<'_>) -> bool {
    integer_option(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).is_ok_and(|value| value != 0)
}

/// Bytes received and not yet read (SIOCINQ); of a message socket, the next message's. Of a listening TCP socket, the connections
/// that wait for accept. `None` if the kernel does not tell.
pub(crate) fn receive_queue(fd: BorrowedFd<'_>) -> Option<u64> {
    if is_listening(fd) {
        return tcp_info(fd).map(|info| info.tcpi_unacked.into());
    }
    integer_ioctl(fd, libc::FIONREAD).ok()?.try_into().ok()
}

/// Bytes sent and not yet acknowledged, or not yet taken by the peer (SIOCOUTQ). Of a listening TCP socket, the limit of its
/// accept queue. `None` if the kernel does not tell.
pub(crate) fn send_queue(fd: BorrowedFd<'_>) -> Option<u64> {
    if is_listening(fd) {
        return tcp_info(fd).map(|info| info.tcpi_sacked.into());
    }
    integer_ioctl(fd, libc::TIOCOUTQ).ok()?.try_into().ok()
}

/// How many messages the kernel has dropped that were for this socket: SO_MEMINFO's last number. `None` if the kernel does not tell.
pub(crate) fn drops(fd: BorrowedFd<'_>) -> Option<u32> {
    /// include/uapi/linux/sock_diag.h: SK_MEMINFO_DROPS.
    const DROPS: usize = 8;
    let mut numbers = [0u32; DROPS + 1];
    let mut length = size_of_val(&numbers).try_into().ok()?;
    // SAFETY: `numbers` is writable for `length` bytes, and any bits are valid integers.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    })
    .ok()?;
    (length as usize == size_of_val(&numbers)).then_some(numbers[DROPS])
}

/// Whether the next byte to read is at the out-of-band mark. Corresponds to sockatmark(3).
pub(crate) fn at_mark(fd: BorrowedFd<'_>) -> bool {
    /// linux/sockios.h; libc has it for other systems alone.
    const SIOCATMARK: c_ulong = 0x8905;
    integer_ioctl(fd, SIOCATMARK).is_ok_and(|mark| mark != 0)
}

/// Whether a receive that has bytes already may go on with another recv(2): not at the out-of-band mark, and not while nothing is there, for
/// an urgent byte may come between this look and the call, which would pass over it. With bytes before it, the call stops there by itself.
pub(crate) fn may_go_on(fd: BorrowedFd<'_>) -> Onward {
    // In this order: what is there cannot have gone when the mark is looked at.
    let is_empty = receive_queue(fd) == Some(0);
    match at_mark(fd) {
        true => Onward::AtMark,
        false if is_empty => Onward::Empty,
        false => Onward::Bytes,
    }
}

/// What a receive that has bytes finds behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// An urgent byte.
    AtMark,
    /// Nothing yet, or the end.
    Empty,
    /// Bytes, or the kernel does not report how many.
    Bytes,
}

/// The socket's inode, as /proc/net and ss(8) name it; 0 if the kernel does not tell. Corresponds to fstat(2).
pub(crate) fn inode(fd: BorrowedFd<'_>) -> u64 {
    fstat(fd).map_or(0, |stat| stat.st_ino)
}

/// Whether the descriptor is a socket.
pub(crate) fn is_socket(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

/// Whether the descriptor is one of a pipe's.
pub(crate) fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// TCP's state of that number (include/net/tcp_states.h).
fn tcp_state(number: u8) -> State {
    match number {
        1 => State::Established,
        2 => State::SynSent,
        // TCP_NEW_SYN_RECV is a lighter form of SYN_RECV.
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        // TCP_BOUND_INACTIVE is a bound TCP_CLOSE.
        7 | 13 => State::Unconnected,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => State::Unspecified,
    }
}

/// TCP_INFO's head; `None` if the socket is not TCP.
fn tcp_info(fd: BorrowedFd<'_>) -> Option<libc::tcp_info> {
    // Where the level is not TCP's, its number may mean something else: AF_NETLINK, for one, has levels of its own.
    let kind = kind(fd).ok()?;
    let tcp = matches!(kind.domain, libc::AF_INET | libc::AF_INET6)
        && matches!(kind.protocol, libc::IPPROTO_TCP | libc::IPPROTO_MPTCP);
    if !tcp {
        return None;
    }
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>()
        .try_into()
        .expect("struct tcp_info has fewer bytes than any integer can count");
    // SAFETY: `info` is writable for `len` bytes.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    })
    .ok()?;
    // SAFETY: all of it was zeroed or written by the kernel, and it consists of integers.
    Some(unsafe { info.assume_init() })
}

/// An ioctl(2) that answers with an int.
fn integer_ioctl(fd: BorrowedFd<'_>, request: c_ulong) -> io::Result<c_int> {
    let mut value: c_int = 0;
    // SAFETY: the requests used here write one int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut value) })?;
    Ok(value)
}

fn fstat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` has room for one structure.
    check(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: all of it was zeroed or written by the kernel, and it consists of integers.
    Ok(unsafe { stat.assume_init() })
}
