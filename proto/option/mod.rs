//! Socket options: their names and their values.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::Bytes;

use crate::{address::Address, message::Credentials, v1};

mod name;
mod text;
mod wire;

pub use name::{OptionName, c_name, option_by_c_name};

/// The value of a socket option. Each option takes one kind; see [`v1::SocketOption`].
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// On or off.
    Flag(bool),
    /// An int.
    Integer(i64),
    /// A time, in the option's own unit.
    Duration(Duration),
    /// SO_LINGER: `None` is off.
    Linger(Option<Duration>),
    /// A name.
    Name(String),
    /// An address.
    Address(Address),
    /// A multicast membership.
    Membership(Membership),
    /// A source-specific multicast membership.
    SourceMembership(SourceMembership),
    /// Which interface multicast leaves by.
    MulticastInterface(MulticastInterface),
    /// A process and its owner.
    Credentials(Credentials),
    /// TCP_INFO. Plain data, so the generated message itself: a copy of its fields would only be a
    /// place for mistakes.
    TcpInfo(Box<v1::TcpInfo>),
    /// Several ints.
    Integers(Vec<i64>),
    /// The option's structure as bytes.
    Raw(Bytes),
    /// In requests alone: text, read by the option's kind on the daemon's host.
    Text(String),
}

impl OptionValue {
    /// The kind of options that take it; `None` for text, which any kind is read from.
    #[must_use]
    pub const fn kind(&self) -> Option<v1::OptionKind> {
        Some(match self {
            Self::Flag(_) => v1::OptionKind::Flag,
            Self::Integer(_) => v1::OptionKind::Integer,
            Self::Duration(_) => v1::OptionKind::Duration,
            Self::Linger(_) => v1::OptionKind::Linger,
            Self::Name(_) => v1::OptionKind::Name,
            Self::Address(_) => v1::OptionKind::Address,
            Self::Membership(_) => v1::OptionKind::Membership,
            Self::SourceMembership(_) => v1::OptionKind::SourceMembership,
            Self::MulticastInterface(_) => v1::OptionKind::MulticastInterface,
            Self::Credentials(_) => v1::OptionKind::Credentials,
            Self::TcpInfo(_) => v1::OptionKind::TcpInfo,
            Self::Integers(_) => v1::OptionKind::Integers,
            Self::Raw(_) => v1::OptionKind::Raw,
            Self::Text(_) => return None,
        })
    }
}

/// A multicast membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: IpAddr,
    /// The interface.
    pub interface: MulticastInterface,
}

/// A source-specific multicast membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMembership {
    /// The group.
    pub group: IpAddr,
    /// The source, of the group's family.
    pub source: IpAddr,
    /// The interface.
    pub interface: MulticastInterface,
}

/// An interface by index, by address, or neither (0 and 0.0.0.0: the kernel chooses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulticastInterface {
    /// The index, or 0.
    pub index: u32,
    /// One of its IPv4 addresses, or 0.0.0.0.
    pub address: Ipv4Addr,
}
