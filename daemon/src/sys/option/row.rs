//! What a row of the table says, and how to find one.

use std::{collections::HashMap, sync::LazyLock};

use farsock_proto::v1;

use super::table::TABLE;
use Access::{Get, Set};
use Kind::*;

/// A named option: where the kernel keeps it and what values it takes.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its C name, such as "SO_REUSEADDR": that of its `v1::SocketOption` behind "SOCKET_OPTION_".
    pub(crate) name: &'static str,
    /// Its level's C name, such as "SOL_SOCKET".
    pub(crate) level_name: &'static str,
    /// Its level. For the MCAST_* options, which exist at two, the group's family decides instead.
    pub(super) level: i32,
    /// Its number at that level.
    pub(super) number: i32,
    pub(super) kind: Kind,
    pub(super) access: Access,
}

impl Row {
    /// Which member of OptionValue it takes and gives.
    pub(crate) fn kind(&self) -> v1::OptionKind {
        self.kind.option_kind()
    }

    /// Whether setting it may take its time: see [`super::is_slow`].
    pub(crate) fn is_slow(&self) -> bool {
        super::is_slow(self.level, self.number)
    }

    /// Whether setsockopt(2) takes it.
    pub(crate) fn settable(&self) -> bool {
        self.access != Get
    }

    /// Whether getsockopt(2) takes it.
    pub(crate) fn readable(&self) -> bool {
        self.access != Set
    }
}

/// What the kernel does with an option. It only describes: a call that the kernel would refuse is made all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Get,
    Set,
    GetSet,
}

/// How a value lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// int, 0 or 1.
    Flag,
    /// int.
    Int,
    /// unsigned int.
    Unsigned,
    /// A 64-bit unsigned integer; beyond `i64::MAX` it is negative here, so that -1 is all bits.
    Long,
    /// unsigned int in network byte order.
    Network,
    /// int, in seconds.
    Seconds,
    /// int, in milliseconds.
    Milliseconds,
    /// int, in microseconds.
    Microseconds,
    /// struct timeval.
    Timeval,
    /// struct linger.
    Linger,
    /// Characters; the kernel's ends at a NUL.
    Name,
    /// A socket address. The kernel only gives these.
    Address,
    /// struct ip_mreqn.
    Ipv4Membership,
    /// struct ipv6_mreq.
    Ipv6Membership,
    /// struct group_req.
    GroupMembership,
    /// struct ip_mreq_source.
    Ipv4Source,
    /// struct group_source_req.
    GroupSource,
    /// struct ip_mreqn without a group; the kernel gives struct in_addr.
    MulticastInterface,
    /// struct ucred. The kernel only gives these.
    Credentials,
    /// struct tcp_info. The kernel only gives these.
    TcpInfo,
    /// An array of unsigned ints.
    Integers,
    /// Bytes.
    Raw,
    /// struct sock_fprog, which the daemon builds around the bytes of its instructions.
    Filter,
}

impl Kind {
    pub(super) fn option_kind(self) -> v1::OptionKind {
        match self {
            Flag => v1::OptionKind::Flag,
            Int | Unsigned | Long | Network => v1::OptionKind::Integer,
            Seconds | Milliseconds | Microseconds | Timeval => v1::OptionKind::Duration,
            Linger => v1::OptionKind::Linger,
            Name => v1::OptionKind::Name,
            Address => v1::OptionKind::Address,
            Ipv4Membership | Ipv6Membership | GroupMembership => v1::OptionKind::Membership,
            Ipv4Source | GroupSource => v1::OptionKind::SourceMembership,
            MulticastInterface => v1::OptionKind::MulticastInterface,
            Credentials => v1::OptionKind::Credentials,
            TcpInfo => v1::OptionKind::TcpInfo,
            Integers => v1::OptionKind::Integers,
            Raw | Filter => v1::OptionKind::Raw,
        }
    }
}

/// The row of `option`; `None` for `Unspecified`.
pub(crate) fn find(option: v1::SocketOption) -> Option<&'static Row> {
    static INDEX: LazyLock<HashMap<v1::SocketOption, &'static Row>> =
        LazyLock::new(|| all().collect());
    INDEX.get(&option).copied()
}

/// All options, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = (v1::SocketOption, &'static Row)> {
    TABLE
        .iter()
        .filter_map(|row| Some((option_named(row.name)?, row)))
}

pub(super) fn option_named(name: &str) -> Option<v1::SocketOption> {
    v1::SocketOption::from_str_name(&format!("SOCKET_OPTION_{name}"))
}
