//! Socket addresses: the domain type, its text form, and its form on the wire.

use std::net::SocketAddr;

use bytes::Bytes;

/// A socket address of any family.
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
