//! One call, made on the kernel by libc: the oracle. Every descriptor is in the mode that the case asks for, blocking or not.

use std::{os::fd::RawFd, ptr, time::Duration};

use farsock_client::Address;

use super::{address, receive, relay};
use crate::{
    call::{Call, Kind},
    outcome::{Failure, Info, Outcome, Value, errno_name},
};

/// Makes the call, waits as long as the kernel does, and returns what it returned.
pub(super) fn perform(call: Call<RawFd, Address>) -> Outcome<RawFd> {
    match call {
        Call::Socket(kind) => socket(kind).map(|fd| Value::Sockets(vec![fd])),
        Call::Pair(kind) => pair(kind),
        Call::Bind(fd, name) => {
            let name = address::encode(&name);
            // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
            check(unsafe { libc::bind(fd, name.as_ptr().cast(), length(&name)) })?;
            Ok(Value::Address(local_address(fd)?))
        }
        Call::Listen(fd, backlog) => {
            // SAFETY: no pointers.
            check(unsafe { libc::listen(fd, backlog) })?;
            Ok(Value::Done)
        }
        Call::Accept {
            listener,
            nonblocking,
        } => accept(listener, nonblocking),
        Call::Connect(fd, name) => {
            let name = address::encode(&name);
            // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
            check(unsafe { libc::connect(fd, name.as_ptr().cast(), length(&name)) })?;
            Ok(Value::Address(local_address(fd)?))
        }
        Call::Send {
            socket,
            data,
            flags,
        } => send(socket, &data.0, flags, &[]),
        Call::SendTo {
            socket,
            data,
            flags,
            address,
        } => {
            let name = address.as_ref().map(address::encode).unwrap_or_default();
            send(socket, &data.0, flags, &name)
        }
        Call::SendMessages {
            socket,
            messages,
            flags,
        } => receive::send_messages(socket, &messages, flags).map(Value::SentEach),
        Call::Recv {
            socket,
            length,
            flags,
        } => receive::receive(socket, length, flags, false).map(Value::Received),
        Call::RecvFrom {
            socket,
            length,
            flags,
        } => receive::receive(socket, length, flags, true).map(Value::Received),
        Call::RecvMessages {
            socket,
            count,
            length,
            control,
            flags,
        } => receive::receive_messages(socket, count, length, control, flags).map(Value::Received),
        Call::Shutdown(fd, how) => {
            // SAFETY: no pointers.
            check(unsafe { libc::shutdown(fd, how) })?;
            Ok(Value::Done)
        }
        Call::Close { socket, abort } => close(socket, abort),
        Call::SockName(fd) => local_address(fd).map(Value::Address),
        Call::PeerName(fd) => name(fd, libc::getpeername).map(Value::Address),
        Call::SetOpt {
            socket,
            level,
            number,
            value,
        } => {
            set_option(socket, level, number, &value)?;
            Ok(Value::Done)
        }
        Call::GetOpt {
            socket,
            level,
            number,
            room,
        } => get_option(socket, level, number, room).map(Value::Option),
        Call::Poll { entries, timeout } => poll(&entries, timeout),
        Call::Info(fd) => info(fd).map(Value::Info),
        Call::Splice(first, second) => relay::relay(first, second),
    }
}

/// The kernel's answer: its errno if it was -1.
pub(super) fn check(returned: i32) -> Result<i32, Failure> {
    if returned < 0 {
        Err(failure())
    } else {
        Ok(returned)
    }
}

/// The errno of the call that has just failed.
pub(super) fn failure() -> Failure {
    let errno = std::io::Error::last_os_error()
        .raw_os_error()
        .expect("the kernel has just said no");
    Failure::Errno(errno_name(errno))
}

pub(super) fn get_option(
    fd: RawFd,
    level: i32,
    number: i32,
    room: usize,
) -> Result<Vec<u8>, Failure> {
    let mut value = vec![0; room];
    let mut taken = length(&value);
    // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
    check(unsafe {
        libc::getsockopt(fd, level, number, value.as_mut_ptr().cast(), &raw mut taken)
    })?;
    value.truncate(taken as usize);
    Ok(value)
}

pub(super) fn set_option(fd: RawFd, level: i32, number: i32, value: &[u8]) -> Result<(), Failure> {
    // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
    check(unsafe { libc::setsockopt(fd, level, number, value.as_ptr().cast(), length(value)) })?;
    Ok(())
}

fn length(bytes: &[u8]) -> libc::socklen_t {
    libc::socklen_t::try_from(bytes.len()).expect("cases use short values")
}

fn type_and_flags(kind: Kind) -> i32 {
    let nonblocking = if kind.nonblocking {
        libc::SOCK_NONBLOCK
    } else {
        0
    };
    kind.kind | nonblocking | libc::SOCK_CLOEXEC
}

fn socket(kind: Kind) -> Result<RawFd, Failure> {
    // SAFETY: no pointers.
    check(unsafe { libc::socket(kind.domain, type_and_flags(kind), kind.protocol) })
}

fn pair(kind: Kind) -> Outcome<RawFd> {
    let mut fds = [0; 2];
    // SAFETY: the kernel writes two ints, and there is room for them.
    check(unsafe {
        libc::socketpair(
            kind.domain,
            type_and_flags(kind),
            kind.protocol,
            fds.as_mut_ptr(),
        )
    })?;
    Ok(Value::Sockets(fds.to_vec()))
}

fn accept(listener: RawFd, nonblocking: bool) -> Outcome<RawFd> {
    let mut name = [0u8; address::ROOM];
    let mut taken = length(&name);
    let flags = if nonblocking { libc::SOCK_NONBLOCK } else { 0 } | libc::SOCK_CLOEXEC;
    // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
    let fd =
        check(unsafe { libc::accept4(listener, name.as_mut_ptr().cast(), &raw mut taken, flags) })?;
    let peer = address::decode(&name[..taken as usize]);
    Ok(Value::Accepted(fd, peer.expect("accept(2) tells the peer")))
}

fn send(fd: RawFd, data: &[u8], flags: i32, name: &[u8]) -> Outcome<RawFd> {
    let pointer = if name.is_empty() {
        ptr::null()
    } else {
        name.as_ptr()
    };
    // SAFETY: pointers and lengths are those of one buffer each, which outlive the call.
    let sent = unsafe {
        libc::sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            flags | libc::MSG_NOSIGNAL,
            pointer.cast(),
            length(name),
        )
    };
    usize::try_from(sent)
        .map(Value::Sent)
        .map_err(|_negative| failure())
}

pub(super) fn close(fd: RawFd, abort: bool) -> Outcome<RawFd> {
    if abort {
        let linger = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
        // Sockets that know no linger close in the one way they have.
        let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }
    // SAFETY: the world owns the descriptor and forgets it.
    check(unsafe { libc::close(fd) })?;
    Ok(Value::Done)
}

pub(super) fn local_address(fd: RawFd) -> Result<Option<Address>, Failure> {
    name(fd, libc::getsockname)
}

type GetName =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn name(fd: RawFd, get: GetName) -> Result<Option<Address>, Failure> {
    let mut name = [0u8; address::ROOM];
    let mut taken = length(&name);
    // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
    check(unsafe { get(fd, name.as_mut_ptr().cast(), &raw mut taken) })?;
    Ok(address::decode(&name[..taken as usize]))
}

fn poll(entries: &[(RawFd, i16)], timeout: Option<Duration>) -> Outcome<RawFd> {
    let mut fds: Vec<libc::pollfd> = entries
        .iter()
        .map(|&(fd, events)| libc::pollfd {
            fd,
            events,
            revents: 0,
        })
        .collect();
    let timeout = timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_millis()).expect("cases wait for seconds")
    });
    // SAFETY: the pointer and the count are those of one vector, which outlives the call.
    check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) })?;
    Ok(Value::Ready(
        fds.iter()
            .enumerate()
            .filter(|(_, fd)| fd.revents != 0)
            .map(|(index, fd)| (index, event_names(fd.revents)))
            .collect(),
    ))
}

/// poll(2)'s events in the order of the API's.
pub(crate) const EVENTS: [(i16, &str); 7] = [
    (libc::POLLIN, "IN"),
    (libc::POLLPRI, "PRI"),
    (libc::POLLOUT, "OUT"),
    (libc::POLLERR, "ERR"),
    (libc::POLLHUP, "HUP"),
    (libc::POLLNVAL, "NVAL"),
    (libc::POLLRDHUP, "RDHUP"),
];

fn event_names(events: i16) -> Vec<&'static str> {
    EVENTS
        .iter()
        .filter(|(bit, _)| events & bit != 0)
        .map(|(_, name)| *name)
        .collect()
}

fn info(fd: RawFd) -> Result<Info, Failure> {
    let int = |number| {
        let value = get_option(fd, libc::SOL_SOCKET, number, 4)?;
        Ok(i32::from_ne_bytes(*value.first_chunk().expect("an int")))
    };
    let (domain, kind, protocol) = (
        int(libc::SO_DOMAIN)?,
        int(libc::SO_TYPE)?,
        int(libc::SO_PROTOCOL)?,
    );
    let tcp = get_option(fd, libc::SOL_TCP, libc::TCP_INFO, 256).ok();
    let state = tcp.as_ref().and_then(|info| info.first().copied());
    // tcpi_unacked, which a listener uses for its queue.
    let connections =
        tcp.and_then(|info| Some(u32::from_ne_bytes(*info.get(24..)?.first_chunk()?)));
    let listening = int(libc::SO_ACCEPTCONN)? != 0;
    let queue = |request| {
        let mut count = 0i32;
        // SAFETY: these requests write one int, and there is room for it.
        let answered = unsafe { libc::ioctl(fd, request, &raw mut count) } == 0;
        answered.then(|| u64::try_from(count).unwrap_or_default())
    };
    let mut at_mark = 0i32;
    // SAFETY: the request writes one int, and there is room for it.
    let marked = unsafe { libc::ioctl(fd, SIOCATMARK, &raw mut at_mark) } == 0 && at_mark != 0;
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    Ok(Info {
        domain,
        kind,
        protocol,
        tcp_state: state,
        receive_queue: (!listening).then(|| queue(libc::FIONREAD)).flatten(),
        send_queue: (!listening).then(|| queue(libc::TIOCOUTQ)).flatten(),
        connections: connections.filter(|_| listening).map(u64::from),
        at_mark: marked,
        nonblocking: flags & libc::O_NONBLOCK != 0,
    })
}

/// asm-generic/sockios.h; not in libc.
const SIOCATMARK: libc::Ioctl = 0x8905;
