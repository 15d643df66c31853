//! Socket addresses: the domain type, its text form, and its form on the wire.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::Bytes;

use crate::Violation;

pub(crate) mod host;
mod text;
mod wire;

/// Resolves the name of a network interface of the daemon's host to its index. Numeric zones do not
/// ask it.
pub type Zones<'a> = &'a dyn Fn(&str) -> Option<u32>;

/// A socket address of any family.
///
/// Its text form, by [`Display`](std::fmt::Display) and [`Address::parse`]: "127.0.0.1:80",
/// "[fe80::1%2]:80", "unix:/run/a.sock", "unix-abstract:name", "unix:" (unnamed), "vsock:3:1234",
/// "unspecified", and "raw:FAMILY:HEX" for any other. It holds everything but IPv6 flow
/// information. Names of unix sockets are escaped in it ([`Name`](crate::escape::Name)), so that it
/// is one word of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// AF_INET or AF_INET6, with flow information and scope id.
    Ip(SocketAddr),
    /// AF_UNIX.
    Unix(UnixAddress),
    /// AF_VSOCK.
    Vsock(VsockAddress),
    /// Any family, as the bytes of its sockaddr.
    Raw(RawAddress),
    /// AF_UNSPEC, which dissolves an association.
    Unspecified,
}

impl Address {
    /// The internet address, if it is one.
    #[must_use]
    pub const fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// Whether its family is AF_UNSPEC, in either form.
    #[must_use]
    pub const fn is_unspecified(&self) -> bool {
        matches!(
            self,
            Self::Unspecified | Self::Raw(RawAddress { family: 0, .. })
        )
    }
}

/// A unix domain address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixAddress {
    /// A path of 1-107 bytes without NUL.
    Path(String),
    /// A name in the abstract namespace, 0-107 bytes, without its leading NUL.
    Abstract(String),
    /// No name.
    Unnamed,
}

/// An AF_VSOCK address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VsockAddress {
    /// The context id.
    pub cid: u32,
    /// The port in host byte order.
    pub port: u32,
}

/// The sockaddr of any family as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawAddress {
    /// The address family's number on the daemon's host.
    pub family: u16,
    /// What follows sa_family, at most 126 bytes.
    pub data: Bytes,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Self {
        Self::Ip(address.into())
    }
}

impl From<SocketAddrV6> for Address {
    fn from(address: SocketAddrV6) -> Self {
        Self::Ip(address.into())
    }
}

impl From<UnixAddress> for Address {
    fn from(address: UnixAddress) -> Self {
        Self::Unix(address)
    }
}

impl From<VsockAddress> for Address {
    fn from(address: VsockAddress) -> Self {
        Self::Vsock(address)
    }
}

/// sun_path's 108 bytes, less the NUL that ends a path or begins an abstract name.
const MAX_UNIX_NAME: usize = 107;
/// sockaddr_storage's 128 bytes, less sa_family.
const MAX_RAW_DATA: usize = 126;

impl UnixAddress {
    /// A path, if sockaddr_un can hold it.
    fn checked_path(path: String) -> Result<Self, Violation> {
        if path.is_empty() {
            return Err(Violation::of_value(
                "the path is empty; the address without a name is `unnamed`, \"unix:\" in text",
            ));
        }
        if path.contains('\0') {
            return Err(Violation::of_value(
                "the path contains a NUL byte; names in the abstract namespace are `abstract`, \
                 without their leading NUL",
            ));
        }
        if path.len() > MAX_UNIX_NAME {
            return Err(Violation::of_value(format!(
                "the path has {} bytes; at most {MAX_UNIX_NAME} fit",
                path.len()
            )));
        }
        Ok(Self::Path(path))
    }

    /// An abstract name, if sockaddr_un can hold it.
    fn checked_abstract(name: String) -> Result<Self, Violation> {
        if name.len() > MAX_UNIX_NAME {
            return Err(Violation::of_value(format!(
                "the abstract name has {} bytes; at most {MAX_UNIX_NAME} fit",
                name.len()
            )));
        }
        Ok(Self::Abstract(name))
    }
}
