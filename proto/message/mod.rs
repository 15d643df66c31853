//! What travels with a message: flags and control messages.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::SystemTime,
};

use bytes::Bytes;

mod flags;
mod from_wire;
mod to_wire;

pub use flags::MessageFlags;

/// One control message. `R` is what SCM_RIGHTS carries: handles at the API, descriptors at the
/// kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMessage<R = Rights> {
    /// IP_PKTINFO.
    Ipv4PacketInfo {
        /// The interface's index.
        interface_index: u32,
        /// ipi_spec_dst: the local address, or the source to send from.
        local_address: Ipv4Addr,
        /// ipi_addr: the destination in the header; received only.
        destination: Ipv4Addr,
    },
    /// IPV6_PKTINFO.
    Ipv6PacketInfo {
        /// The destination received at, or the source to send from.
        address: Ipv6Addr,
        /// The interface's index.
        interface_index: u32,
    },
    /// IP_TTL.
    Ttl(i32),
    /// IPV6_HOPLIMIT.
    HopLimit(i32),
    /// IP_TOS.
    TypeOfService(i32),
    /// IPV6_TCLASS.
    TrafficClass(i32),
    /// SCM_TIMESTAMP.
    Timestamp(SystemTime),
    /// SCM_TIMESTAMPNS.
    TimestampNs(SystemTime),
    /// SCM_TIMESTAMPING.
    Timestamping {
        /// Taken by the kernel.
        software: Option<SystemTime>,
        /// Taken by the network card.
        hardware: Option<SystemTime>,
    },
    /// IP_RECVERR or IPV6_RECVERR.
    ExtendedError(ExtendedError),
    /// UDP_SEGMENT.
    SegmentSize(u16),
    /// UDP_GRO.
    ReceiveSegmentSize(i32),
    /// SCM_CREDENTIALS.
    Credentials(Credentials),
    /// SCM_RIGHTS.
    Rights(R),
    /// SO_RXQ_OVFL.
    ReceiveQueueOverflow(u32),
    /// IP_ORIGDSTADDR or IPV6_ORIGDSTADDR.
    OriginalDestination(SocketAddr),
    /// Any other.
    Raw {
        /// cmsg_level.
        level: i32,
        /// cmsg_type.
        kind: i32,
        /// The payload.
        data: Bytes,
    },
}

/// Sockets in an SCM_RIGHTS message, by handle.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    /// Their handles.
    pub handles: Vec<u64>,
    /// How many received descriptors were closed.
    pub discarded: u32,
}

/// Corresponds to struct sock_extended_err.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// The errno number.
    pub errno: u32,
    /// The errno's name, if it has one.
    pub errno_name: Option<&'static str>,
    /// Where the error came from.
    pub origin: u8,
    /// The ICMP type.
    pub icmp_type: u8,
    /// The ICMP code.
    pub icmp_code: u8,
    /// Additional information.
    pub info: u32,
    /// Other data.
    pub data: u32,
    /// The host that reported it.
    pub offender: Option<SocketAddr>,
}

/// Corresponds to struct ucred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl<R> ControlMessage<R> {
    /// The same message with its rights changed by `f`: handles into descriptors, or back. Any
    /// other message stays as it is.
    ///
    /// # Errors
    /// The error of `f`.
    pub fn map_rights<S, E>(
        self,
        f: impl FnOnce(R) -> Result<S, E>,
    ) -> Result<ControlMessage<S>, E> {
        Ok(match self {
            Self::Rights(rights) => ControlMessage::Rights(f(rights)?),
            Self::Ipv4PacketInfo {
                interface_index,
                local_address,
                destination,
            } => ControlMessage::Ipv4PacketInfo {
                interface_index,
                local_address,
                destination,
            },
            Self::Ipv6PacketInfo {
                address,
                interface_index,
            } => ControlMessage::Ipv6PacketInfo {
                address,
                interface_index,
            },
            Self::Ttl(ttl) => ControlMessage::Ttl(ttl),
            Self::HopLimit(limit) => ControlMessage::HopLimit(limit),
            Self::TypeOfService(tos) => ControlMessage::TypeOfService(tos),
            Self::TrafficClass(class) => ControlMessage::TrafficClass(class),
            Self::Timestamp(time) => ControlMessage::Timestamp(time),
            Self::TimestampNs(time) => ControlMessage::TimestampNs(time),
            Self::Timestamping { software, hardware } => {
                ControlMessage::Timestamping { software, hardware }
            }
            Self::ExtendedError(error) => ControlMessage::ExtendedError(error),
            Self::SegmentSize(size) => ControlMessage::SegmentSize(size),
            Self::ReceiveSegmentSize(size) => ControlMessage::ReceiveSegmentSize(size),
            Self::Credentials(credentials) => ControlMessage::Credentials(credentials),
            Self::ReceiveQueueOverflow(count) => ControlMessage::ReceiveQueueOverflow(count),
            Self::OriginalDestination(address) => ControlMessage::OriginalDestination(address),
            Self::Raw { level, kind, data } => ControlMessage::Raw { level, kind, data },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rights_are_mapped_and_the_error_is_handed_on() {
        let rights = ControlMessage::Rights(Rights {
            handles: vec![1, 2],
            discarded: 0,
        });
        assert_eq!(
            rights
                .clone()
                .map_rights(|rights| Ok::<_, ()>(rights.handles.len())),
            Ok(ControlMessage::Rights(2))
        );
        assert_eq!(rights.map_rights(|_| Err::<(), _>("none")), Err("none"));
        let raw = ControlMessage::<Rights>::Raw {
            level: 1,
            kind: 2,
            data: Bytes::new(),
        };
        assert_eq!(
            raw.map_rights(|_| Err::<(), _>("not asked")),
            Ok(ControlMessage::Raw {
                level: 1,
                kind: 2,
                data: Bytes::new()
            })
        );
    }
}
