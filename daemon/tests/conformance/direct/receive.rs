//! recvmsg(2), recvmmsg(2) and sendmmsg(2), made by libc.

use std::{mem, os::fd::RawFd, ptr};

use farsock_client::Address;

use super::{
    address, control,
    perform::{check, failure, get_option},
    record,
};
use crate::{
    call::Out,
    outcome::{Failure, Message, errno_name},
};

/// recv(2), or recvfrom(2) with `named`, by recvmsg(2): the one that also tells the flags.
pub(super) fn receive(
    fd: RawFd,
    length: usize,
    flags: i32,
    named: bool,
) -> Result<Vec<Message<RawFd>>, Failure> {
    let framing = Framing::of(fd);
    // MSG_OOB asks for something else than the next record, and is refused at once.
    let next = flags & libc::MSG_OOB == 0 && record::has_records(fd);
    let ends = next && record::comes_end(fd, flags)?;
    let mut room = Room::new(1, length, 0, named);
    let mut headers = room.headers();
    // SAFETY: the header points into `room`, which outlives the call.
    let received = unsafe { libc::recvmsg(fd, &raw mut headers[0].msg_hdr, framing.flags(flags)) };
    let received = usize::try_from(received).map_err(|_negative| failure())?;
    let mut message = room.message(0, &headers[0], received, flags, framing);
    message.end_of_stream |= ends && length > 0;
    Ok(vec![message])
}

/// recvmmsg(2) without its timeout, which is not what it seems (see its man page).
pub(super) fn receive_messages(
    fd: RawFd,
    count: usize,
    length: usize,
    control: usize,
    flags: i32,
) -> Result<Vec<Message<RawFd>>, Failure> {
    if flags & libc::MSG_OOB == 0 && record::has_records(fd) {
        return receive_records(fd, count, length, control, flags);
    }
    if Framing::of(fd).stream && count > 1 && has_error(fd)? {
        return receive_parts(fd, count, length, control, flags);
    }
    receive_many(fd, count, length, control, flags)
}

/// The same of a stream, part by part: recvmmsg(2) reports a pending error before bytes that came before it, and recvmsg(2) does not. An
/// error behind them stays for the next call.
fn receive_parts(
    fd: RawFd,
    count: usize,
    length: usize,
    control: usize,
    mut flags: i32,
) -> Result<Vec<Message<RawFd>>, Failure> {
    let mut all = receive_many(fd, 1, length, control, flags)?;
    while all.len() < count && !has_only_an_error(fd)? {
        if flags & libc::MSG_WAITFORONE != 0 {
            flags |= libc::MSG_DONTWAIT;
        }
        match receive_many(fd, 1, length, control, flags) {
            Ok(one) => all.extend(one),
            Err(_) => break,
        }
    }
    Ok(all)
}

/// Whether the next receive would report an error, and take it from the calls after it.
fn has_only_an_error(fd: RawFd) -> Result<bool, Failure> {
    let mut unread = 0;
    // SAFETY: the kernel writes an int.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut unread) })?;
    Ok(unread == 0 && has_error(fd)? && !is_at_end(fd))
}

/// Whether TCP has received all of a stream that its peer ended: from then on every receive returns 0, and a reset that came later is left
/// pending. The kernel says so, and takes nothing, by EIO for a mapping of what there is.
fn is_at_end(fd: RawFd) -> bool {
    /// Up to `inq` of struct tcp_zerocopy_receive: without `err`, for which a pending error would be taken.
    const LENGTH: usize = 20;
    let outcome = get_option(fd, libc::IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, LENGTH);
    outcome == Err(Failure::Errno(errno_name(libc::EIO)))
}

/// linux/tcp.h.
const TCP_ZEROCOPY_RECEIVE: i32 = 35;

/// Whether an error is pending.
fn has_error(fd: RawFd) -> Result<bool, Failure> {
    let mut entry = libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    };
    // SAFETY: the kernel writes one entry.
    check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
    Ok(entry.revents & libc::POLLERR != 0)
}

/// The same of records, one by one: of several, nobody could say which were empty and which the end.
fn receive_records(
    fd: RawFd,
    count: usize,
    length: usize,
    control: usize,
    flags: i32,
) -> Result<Vec<Message<RawFd>>, Failure> {
    let mut all = Vec::new();
    let mut flags = flags;
    while all.len() < count {
        let one = record::comes_end(fd, flags).and_then(|ends| {
            let mut one = receive_many(fd, 1, length, control, flags)?;
            one[0].end_of_stream |= ends && length > 0;
            Ok(one)
        });
        match one {
            Ok(one) => all.extend(one),
            Err(error) if all.is_empty() => return Err(error),
            Err(_next) => break,
        }
        if flags & libc::MSG_WAITFORONE != 0 {
            flags |= libc::MSG_DONTWAIT;
        }
    }
    Ok(all)
}

fn receive_many(
    fd: RawFd,
    count: usize,
    length: usize,
    control: usize,
    flags: i32,
) -> Result<Vec<Message<RawFd>>, Failure> {
    let framing = Framing::of(fd);
    let mut room = Room::new(count, length, control, true);
    let mut headers = room.headers();
    if count == 1 {
        // SAFETY: the header points into `room`, which outlives the call.
        let received =
            unsafe { libc::recvmsg(fd, &raw mut headers[0].msg_hdr, framing.flags(flags)) };
        let received = usize::try_from(received).map_err(|_negative| failure())?;
        return Ok(vec![room.message(0, &headers[0], received, flags, framing)]);
    }
    let wanted = u32::try_from(count).expect("cases ask for few messages");
    // SAFETY: the headers point into `room`, which outlives the call.
    let received = check(unsafe {
        libc::recvmmsg(
            fd,
            headers.as_mut_ptr(),
            wanted,
            framing.flags(flags),
            ptr::null_mut(),
        )
    })?;
    let received = usize::try_from(received).expect("check() let no negative count through");
    Ok(headers[..received]
        .iter()
        .enumerate()
        .map(|(index, header)| room.message(index, header, header.msg_len as usize, flags, framing))
        .collect())
}

/// sendmmsg(2); what it took of each message.
pub(super) fn send_messages(
    fd: RawFd,
    messages: &[Out<RawFd, Address>],
    flags: i32,
) -> Result<Vec<usize>, Failure> {
    let mut data: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| message.data.0.clone())
        .collect();
    let mut names: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| {
            message
                .address
                .as_ref()
                .map(address::encode)
                .unwrap_or_default()
        })
        .collect();
    let mut controls: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| control::encode(&message.control))
        .collect();
    let mut vectors: Vec<libc::iovec> = data.iter_mut().map(|data| vector(data)).collect();
    let mut headers: Vec<libc::mmsghdr> = (0..messages.len())
        .map(|index| {
            let mut header = zeroed();
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            if !names[index].is_empty() {
                header.msg_hdr.msg_name = names[index].as_mut_ptr().cast();
                header.msg_hdr.msg_namelen =
                    libc::socklen_t::try_from(names[index].len()).expect("addresses are short");
            }
            if !controls[index].is_empty() {
                header.msg_hdr.msg_control = controls[index].as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = controls[index].len();
            }
            header
        })
        .collect();
    let count = u32::try_from(messages.len()).expect("cases send few messages");
    // SAFETY: the headers point into vectors that outlive the call.
    let sent = check(unsafe {
        libc::sendmmsg(fd, headers.as_mut_ptr(), count, flags | libc::MSG_NOSIGNAL)
    })?;
    let sent = usize::try_from(sent).expect("check() let no negative count through");
    Ok(headers[..sent]
        .iter()
        .map(|header| header.msg_len as usize)
        .collect())
}

/// What the socket carries, which decides what a length of 0 and MSG_TRUNC mean.
#[derive(Clone, Copy)]
struct Framing {
    /// SOCK_STREAM.
    stream: bool,
    /// AF_INET or AF_INET6.
    internet: bool,
    /// SO_PEEK_OFF is set.
    peeks_onward: bool,
}

impl Framing {
    fn of(fd: RawFd) -> Self {
        let int = |number| {
            get_option(fd, libc::SOL_SOCKET, number, 4)
                .ok()
                .and_then(|value| Some(i32::from_ne_bytes(*value.first_chunk()?)))
        };
        let kind = int(libc::SO_TYPE);
        let domain = int(libc::SO_DOMAIN);
        Self {
            stream: kind == Some(libc::SOCK_STREAM),
            internet: matches!(domain, Some(libc::AF_INET | libc::AF_INET6)),
            peeks_onward: int(libc::SO_PEEK_OFF).is_some_and(|offset| offset >= 0),
        }
    }

    /// On message sockets MSG_TRUNC makes the kernel return the whole length, which the API always reports; but for sockets with
    /// SO_PEEK_OFF, whose offset the flag would move.
    fn flags(self, flags: i32) -> i32 {
        match self.stream || self.peeks_onward {
            true => flags,
            false => flags | libc::MSG_TRUNC,
        }
    }

    /// How many bytes the kernel wrote of the `received` that it returned. A peek with MSG_TRUNC and SO_PEEK_OFF returns the message's
    /// length and writes what is behind the offset: the room shows how much that was.
    fn written(self, flags: i32, room: &[u8], received: usize) -> usize {
        let truncates = flags & libc::MSG_TRUNC != 0 && flags & libc::MSG_ERRQUEUE == 0;
        let most = received.min(room.len());
        if self.stream && self.internet && truncates {
            // TCP discards: the count is true, and nothing is written.
            return 0;
        }
        if self.peeks_onward && truncates && flags & libc::MSG_PEEK != 0 {
            let touched = room[..most].iter().rposition(|byte| *byte != UNTOUCHED);
            return touched.map_or(0, |last| last + 1);
        }
        most
    }
}

/// What is in a buffer before the kernel writes there. No case that looks for it sends it.
const UNTOUCHED: u8 = 0xa5;

/// The buffers of one receive.
struct Room {
    length: usize,
    data: Vec<Vec<u8>>,
    names: Vec<[u8; address::ROOM]>,
    controls: Vec<Vec<u8>>,
    vectors: Vec<libc::iovec>,
    named: bool,
}

impl Room {
    fn new(count: usize, length: usize, control: usize, named: bool) -> Self {
        let mut data = vec![vec![UNTOUCHED; length]; count];
        Self {
            length,
            vectors: data.iter_mut().map(|data| vector(data)).collect(),
            data,
            names: vec![[0; address::ROOM]; count],
            controls: vec![vec![0; control]; count],
            named,
        }
    }

    fn headers(&mut self) -> Vec<libc::mmsghdr> {
        (0..self.data.len())
            .map(|index| {
                let mut header = zeroed();
                header.msg_hdr.msg_iov = &raw mut self.vectors[index];
                header.msg_hdr.msg_iovlen = 1;
                if self.named {
                    header.msg_hdr.msg_name = self.names[index].as_mut_ptr().cast();
                    header.msg_hdr.msg_namelen = 128;
                }
                if !self.controls[index].is_empty() {
                    header.msg_hdr.msg_control = self.controls[index].as_mut_ptr().cast();
                    header.msg_hdr.msg_controllen = self.controls[index].len();
                }
                header
            })
            .collect()
    }

    fn message(
        &self,
        index: usize,
        header: &libc::mmsghdr,
        received: usize,
        flags: i32,
        framing: Framing,
    ) -> Message<RawFd> {
        let header = &header.msg_hdr;
        let written = framing.written(flags, &self.data[index], received);
        let name = &self.names[index][..(header.msg_namelen as usize).min(address::ROOM)];
        let from_error_queue = flags & libc::MSG_ERRQUEUE != 0;
        Message {
            data: self.data[index][..written].to_vec(),
            address: if self.named {
                address::decode(name)
            } else {
                None
            },
            end_of_stream: framing.stream && received == 0 && self.length > 0 && !from_error_queue,
            flags: FLAGS
                .iter()
                .filter(|(bit, _)| header.msg_flags & bit != 0)
                .map(|(_, name)| *name)
                .collect(),
            full_length: received,
            control: control::decode(&self.controls[index][..header.msg_controllen]),
        }
    }
}

/// The flags by which msg_flags tells something of the message.
const FLAGS: [(i32, &str); 5] = [
    (libc::MSG_OOB, "OOB"),
    (libc::MSG_CTRUNC, "CTRUNC"),
    (libc::MSG_TRUNC, "TRUNC"),
    (libc::MSG_EOR, "EOR"),
    (libc::MSG_ERRQUEUE, "ERRQUEUE"),
];

fn vector(data: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    }
}

fn zeroed() -> libc::mmsghdr {
    // SAFETY: all-zero is a valid mmsghdr: integers and null pointers.
    unsafe { mem::zeroed() }
}
