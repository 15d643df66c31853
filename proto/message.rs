//! What travels with a message: flags and control messages.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::SystemTime,
};

use bytes::Bytes;

/// A set of MSG_* flags: those with a name, and further ones by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags {
    /// One bit per [`v1::MessageFlag`](crate::v1::MessageFlag): `1 << value`.
    named: u32,
    /// Numbers of the daemon's host.
    raw: u32,
}

impl MessageFlags {
    /// No flag.
    pub const NONE: Self = Self { named: 0, raw: 0 };
    /// MSG_OOB.
    pub const OOB: Self = Self::named(1);
    /// MSG_PEEK.
    pub const PEEK: Self = Self::named(2);
    /// MSG_DONTROUTE.
    pub const DONTROUTE: Self = Self::named(3);
    /// MSG_CTRUNC.
    pub const CTRUNC: Self = Self::named(4);
    /// MSG_TRUNC.
    pub const TRUNC: Self = Self::named(5);
    /// MSG_DONTWAIT.
    pub const DONTWAIT: Self = Self::named(6);
    /// MSG_EOR.
    pub const EOR: Self = Self::named(7);
    /// MSG_WAITALL.
    pub const WAITALL: Self = Self::named(8);
    /// MSG_CONFIRM.
    pub const CONFIRM: Self = Self::named(9);
    /// MSG_ERRQUEUE.
    pub const ERRQUEUE: Self = Self::named(10);
    /// MSG_NOSIGNAL.
    pub const NOSIGNAL: Self = Self::named(11);
    /// MSG_MORE.
    pub const MORE: Self = Self::named(12);
    /// MSG_WAITFORONE.
    pub const WAITFORONE: Self = Self::named(13);
    /// MSG_FASTOPEN.
    pub const FASTOPEN: Self = Self::named(14);

    const fn named(value: u32) -> Self {
        Self {
            named: 1 << value,
            raw: 0,
        }
    }

    /// Further flags by number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self { named: 0, raw }
    }

    /// The flags given by number.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.raw
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.named & other.named == other.named && self.raw & other.raw == other.raw
    }
}

impl std::ops::BitOr for MessageFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            named: self.named | other.named,
            raw: self.raw | other.raw,
        }
    }
}

/// One control message. `R` is what SCM_RIGHTS carries: handles at the API, descriptors at the kernel.
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
