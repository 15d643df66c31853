//! Control messages to send, as the buffer that sendmsg(2) takes.

use std::{
    ffi::c_int,
    os::fd::{AsRawFd, RawFd},
};

use farsock_proto::{
    Violation,
    message::{ControlMessage, Rights},
};

use super::{ALIGNMENT, HEADER, SCM_PIDFD, SentRights};

/// How long the buffer of one message may be.
const MAX_LENGTH: usize = 16_384;

/// How many descriptors the kernel takes in one message (SCM_MAX_FD).
const MAX_RIGHTS: usize = 253;

/// The buffer for `messages`. The violation's field is relative to the message that holds them: `control[0].ttl`.
///
/// The descriptors of SCM_RIGHTS stand in the buffer by number: it is of use only as long as they are open.
pub(in crate::sys) fn encode<R: Descriptors>(
    messages: &[ControlMessage<R>],
) -> Result<Vec<u8>, Violation> {
    let mut buffer = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        append(&mut buffer, message)
            .map_err(|violation| violation.within(&format!("control[{index}]")))?;
        if buffer.len() > MAX_LENGTH {
            return Err(Violation::new(
                "control",
                format!("more than {MAX_LENGTH} bytes in the kernel's layout"),
            ));
        }
    }
    Ok(buffer)
}

/// How long the buffer for `messages` will be, once their sockets are looked up.
pub(crate) fn encoded_length(messages: &[ControlMessage<Rights>]) -> Result<usize, Violation> {
    Ok(encode(messages)?.len())
}

/// The descriptors of an SCM_RIGHTS message.
pub(in crate::sys) trait Descriptors {
    /// Their numbers.
    fn numbers(&self) -> impl ExactSizeIterator<Item = RawFd>;
}

impl Descriptors for SentRights<'_> {
    fn numbers(&self) -> impl ExactSizeIterator<Item = RawFd> {
        self.0.iter().map(AsRawFd::as_raw_fd)
    }
}

/// No descriptors yet, but as many.
impl Descriptors for Rights {
    fn numbers(&self) -> impl ExactSizeIterator<Item = RawFd> {
        self.handles.iter().map(|_| -1)
    }
}

/// Appends one message to the buffer.
fn append<R: Descriptors>(
    buffer: &mut Vec<u8>,
    message: &ControlMessage<R>,
) -> Result<(), Violation> {
    use ControlMessage as M;
    let mut put = |level, kind, parts: &[&[u8]]| put(buffer, level, kind, parts);
    match message {
        // struct in_pktinfo.
        M::Ipv4PacketInfo {
            interface_index,
            local_address,
            destination,
        } => put(
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            &[
                &interface_index.to_ne_bytes(),
                &local_address.octets(),
                &destination.octets(),
            ],
        ),
        // struct in6_pktinfo.
        M::Ipv6PacketInfo {
            address,
            interface_index,
        } => put(
            libc::IPPROTO_IPV6,
            libc::IPV6_PKTINFO,
            &[&address.octets(), &interface_index.to_ne_bytes()],
        ),
        M::Ttl(ttl) => put(libc::IPPROTO_IP, libc::IP_TTL, &[&ttl.to_ne_bytes()]),
        M::HopLimit(limit) => put(
            libc::IPPROTO_IPV6,
            libc::IPV6_HOPLIMIT,
            &[&limit.to_ne_bytes()],
        ),
        M::TypeOfService(tos) => put(libc::IPPROTO_IP, libc::IP_TOS, &[&tos.to_ne_bytes()]),
        M::TrafficClass(class) => {
            put(
                libc::IPPROTO_IPV6,
                libc::IPV6_TCLASS,
                &[&class.to_ne_bytes()],
            );
        }
        M::SegmentSize(size) => put(libc::SOL_UDP, libc::UDP_SEGMENT, &[&size.to_ne_bytes()]),
        // struct ucred.
        M::Credentials(credentials) => put(
            libc::SOL_SOCKET,
            libc::SCM_CREDENTIALS,
            &[
                &credentials.pid.to_ne_bytes(),
                &credentials.uid.to_ne_bytes(),
                &credentials.gid.to_ne_bytes(),
            ],
        ),
        M::Rights(rights) => {
            let fds = rights.numbers();
            if fds.len() > MAX_RIGHTS {
                let what = format!("more than {MAX_RIGHTS} sockets in one message");
                return Err(Violation::new("rights", what));
            }
            let numbers: Vec<_> = fds.map(RawFd::to_ne_bytes).collect();
            put(
                libc::SOL_SOCKET,
                libc::SCM_RIGHTS,
                &[numbers.as_flattened()],
            );
        }
        M::Raw { level, kind, data } => {
            if let Some(reason) = refusal(*level, *kind) {
                return Err(Violation::new("raw", reason));
            }
            // A payload over the limit need not be copied to be found too long.
            put(*level, *kind, &[&data[..data.len().min(MAX_LENGTH)]]);
        }
        M::Timestamp(_) => return Err(received_only("timestamp")),
        M::TimestampNs(_) => return Err(received_only("timestamp_ns")),
        M::Timestamping { .. } => return Err(received_only("timestamping")),
        M::ExtendedError(_) => return Err(received_only("extended_error")),
        M::ReceiveSegmentSize(_) => return Err(received_only("receive_segment_size")),
        M::ReceiveQueueOverflow(_) => return Err(received_only("receive_queue_overflow")),
        M::OriginalDestination(_) => return Err(received_only("original_destination")),
    }
    Ok(())
}

/// Appends a header and the payload that consists of `parts`.
fn put(buffer: &mut Vec<u8>, level: c_int, kind: c_int, parts: &[&[u8]]) {
    let payload: usize = parts.iter().map(|part| part.len()).sum();
    buffer.extend_from_slice(&(HEADER + payload).to_ne_bytes());
    buffer.extend_from_slice(&level.to_ne_bytes());
    buffer.extend_from_slice(&kind.to_ne_bytes());
    for part in parts {
        buffer.extend_from_slice(part);
    }
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
}

/// Why a raw control message may not be sent: it would name the daemon's own descriptors or memory.
fn refusal(level: c_int, kind: c_int) -> Option<&'static str> {
    match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => Some(
            "SCM_RIGHTS cannot be raw, since descriptor numbers mean nothing outside the daemon: use `rights`",
        ),
        (libc::SOL_SOCKET, SCM_PIDFD | libc::SCM_DEVMEM_LINEAR | libc::SCM_DEVMEM_DMABUF) => Some(
            "control messages with descriptors cannot be raw, since their numbers mean nothing outside the daemon",
        ),
        (libc::SOL_RDS, _) => Some(
            "control messages of RDS are not possible, since they point into the sender's memory",
        ),
        _ => None,
    }
}

fn received_only(field: &str) -> Violation {
    Violation::new(field, "this control message is received only")
}
