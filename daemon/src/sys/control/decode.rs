//! Received control messages, from the buffer that recvmsg(2) fills.

use std::{
    ffi::c_int,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, Credentials, ExtendedError},
};
use socket2::SockRef;

use super::{ALIGNMENT, HEADER, ReceivedRights, SCM_PIDFD};
use crate::sys::{
    address,
    errno::errno_name,
    socket::{is_pipe, is_socket},
};

/// The messages in `buffer`, in its order. A known one whose payload is not as long as it should be, as one that was cut off, is
/// [`ControlMessage::Raw`]. SCM_PIDFD is left out: its descriptor, which means nothing outside the daemon, is closed.
///
/// # Safety
///
/// `buffer` holds exactly what recvmsg(2) wrote, and is decoded once: the descriptors in it are owned by nobody else.
pub(in crate::sys) unsafe fn decode(buffer: &[u8]) -> Vec<ControlMessage<ReceivedRights>> {
    let mut messages = Vec::new();
    for Entry {
        level,
        kind,
        payload,
    } in entries(buffer)
    {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                // SAFETY: the payload of SCM_RIGHTS is descriptors, ours by this function's contract.
                let rights = unsafe { descriptors(payload) };
                messages.push(ControlMessage::Rights(rights.collect()));
            }
            // SAFETY: the payload of SCM_PIDFD is a descriptor, ours by this function's contract.
            (libc::SOL_SOCKET, SCM_PIDFD) => drop(unsafe { descriptors(payload) }.count()),
            _ => messages.push(typed(level, kind, payload).unwrap_or_else(|| {
                let data = Bytes::copy_from_slice(payload);
                ControlMessage::Raw { level, kind, data }
            })),
        }
    }
    messages
}

/// One control message, undecoded.
pub(super) struct Entry<'a> {
    pub(super) level: c_int,
    pub(super) kind: c_int,
    pub(super) payload: &'a [u8],
}

/// The messages in a buffer, up to the end or to the first that does not fit into it.
pub(super) fn entries(mut buffer: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (length, rest) = buffer.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let length = usize::from_ne_bytes(*length);
        let payload = buffer.get(HEADER..length)?;
        let next = length.checked_next_multiple_of(ALIGNMENT)?;
        buffer = buffer.get(next..).unwrap_or_default();
        Some(Entry {
            level: c_int::from_ne_bytes(*level),
            kind: c_int::from_ne_bytes(*kind),
            payload,
        })
    })
}

/// The typed form of a message without descriptors.
pub(super) fn typed(
    level: c_int,
    kind: c_int,
    payload: &[u8],
) -> Option<ControlMessage<ReceivedRights>> {
    use ControlMessage as M;
    Some(match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let [index, local, destination] = words(payload)?;
            M::Ipv4PacketInfo {
                interface_index: u32::from_ne_bytes(index),
                local_address: Ipv4Addr::from_octets(local),
                destination: Ipv4Addr::from_octets(destination),
            }
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let (address, index) = payload.split_first_chunk::<16>()?;
            M::Ipv6PacketInfo {
                address: Ipv6Addr::from_octets(*address),
                interface_index: u32::from_ne_bytes(index.try_into().ok()?),
            }
        }
        (libc::IPPROTO_IP, libc::IP_TTL) => M::Ttl(int(payload)?),
        (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => M::HopLimit(int(payload)?),
        // One byte from most of the kernel, an int from some of it.
        (libc::IPPROTO_IP, libc::IP_TOS) => match payload {
            [tos] => M::TypeOfService((*tos).into()),
            _ => M::TypeOfService(int(payload)?),
        },
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => M::TrafficClass(int(payload)?),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMP | libc::SO_TIMESTAMP_NEW) => {
            let [seconds, microseconds] = longs(payload)?;
            M::Timestamp(time(seconds, microseconds.checked_mul(1_000)?)?)
        }
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS | libc::SO_TIMESTAMPNS_NEW) => {
            let [seconds, nanoseconds] = longs(payload)?;
            M::TimestampNs(time(seconds, nanoseconds)?)
        }
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPING | libc::SO_TIMESTAMPING_NEW) => {
            // The pair in the middle is a stamp that kernels no longer take.
            let [s, ns, _, _, hardware_s, hardware_ns] = longs(payload)?;
            M::Timestamping {
                software: stamp(s, ns)?,
                hardware: stamp(hardware_s, hardware_ns)?,
            }
        }
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
            M::ExtendedError(extended_error(payload)?)
        }
        (libc::SOL_UDP, libc::UDP_SEGMENT) => {
            M::SegmentSize(u16::from_ne_bytes(payload.try_into().ok()?))
        }
        (libc::SOL_UDP, libc::UDP_GRO) => M::ReceiveSegmentSize(int(payload)?),
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
            let [pid, uid, gid] = words(payload)?;
            M::Credentials(Credentials {
                pid: i32::from_ne_bytes(pid),
                uid: u32::from_ne_bytes(uid),
                gid: u32::from_ne_bytes(gid),
            })
        }
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
            M::ReceiveQueueOverflow(u32::from_ne_bytes(payload.try_into().ok()?))
        }
        (libc::IPPROTO_IP, libc::IP_ORIGDSTADDR) | (libc::IPPROTO_IPV6, libc::IPV6_ORIGDSTADDR) => {
            M::OriginalDestination(ip_address(payload)?)
        }
        _ => return None,
    })
}

/// Takes the descriptors in a payload; negative numbers, which stand for errors of the kernel's, are none.
///
/// # Safety
///
/// The descriptors are open and owned by nobody.
unsafe fn descriptors(payload: &[u8]) -> impl Iterator<Item = OwnedFd> {
    let (numbers, _) = payload.as_chunks();
    numbers
        .iter()
        .map(|number| RawFd::from_ne_bytes(*number))
        .filter(|&number| number >= 0)
        // SAFETY: this function's contract.
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Keeps the sockets apart from what is none, and from what cannot be made non-blocking.
impl FromIterator<OwnedFd> for ReceivedRights {
    fn from_iter<I: IntoIterator<Item = OwnedFd>>(fds: I) -> Self {
        let mut rights = Self::default();
        for fd in fds {
            if is_socket(fd.as_fd()) && SockRef::from(&fd).set_nonblocking(true).is_ok() {
                rights.sockets.push(fd);
            } else {
                // A pipe closes at once.
                if !is_pipe(fd.as_fd()) {
                    rights.others.push(fd);
                }
                rights.discarded += 1;
            }
        }
        rights
    }
}

/// struct sock_extended_err, and the address of the offender behind it.
fn extended_error(payload: &[u8]) -> Option<ExtendedError> {
    let (error, offender) = payload.split_first_chunk::<16>()?;
    let [errno, kind, info, data] = words(error)?;
    let [origin, icmp_type, icmp_code, _padding] = kind;
    let errno = u32::from_ne_bytes(errno);
    Some(ExtendedError {
        errno,
        errno_name: errno.try_into().ok().and_then(errno_name),
        origin,
        icmp_type,
        icmp_code,
        info: u32::from_ne_bytes(info),
        data: u32::from_ne_bytes(data),
        // AF_UNSPEC if not known.
        offender: ip_address(offender),
    })
}

fn ip_address(payload: &[u8]) -> Option<SocketAddr> {
    match address::decode(payload)? {
        Address::Ip(address) => Some(address),
        _ => None,
    }
}

/// A time stamp, where zero says that it was not taken; `None` if it is no time.
fn stamp(seconds: i64, nanoseconds: i64) -> Option<Option<SystemTime>> {
    match (seconds, nanoseconds) {
        (0, 0) => Some(None),
        _ => time(seconds, nanoseconds).map(Some),
    }
}

/// A time since 1970, before it if negative.
fn time(seconds: i64, nanoseconds: i64) -> Option<SystemTime> {
    let nanoseconds = u32::try_from(nanoseconds)
        .ok()
        .filter(|&ns| ns < 1_000_000_000)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    start.checked_add(Duration::from_nanos(nanoseconds.into()))
}

fn int(payload: &[u8]) -> Option<c_int> {
    Some(c_int::from_ne_bytes(payload.try_into().ok()?))
}

/// A payload that is exactly `N` words of 4 bytes.
fn words<const N: usize>(payload: &[u8]) -> Option<[[u8; 4]; N]> {
    chunks(payload)
}

/// A payload that is exactly `N` numbers of 8 bytes: time stamps on 64-bit hosts, and the SO_*_NEW ones everywhere.
fn longs<const N: usize>(payload: &[u8]) -> Option<[i64; N]> {
    Some(chunks(payload)?.map(i64::from_ne_bytes))
}

fn chunks<const SIZE: usize, const N: usize>(payload: &[u8]) -> Option<[[u8; SIZE]; N]> {
    let (chunks, rest) = payload.as_chunks();
    if !rest.is_empty() {
        return None;
    }
    chunks.try_into().ok()
}
