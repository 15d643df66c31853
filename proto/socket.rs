//! What kind of socket: domain, type and protocol, by name or by number.

/// The communication domain of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// AF_UNIX.
    Unix,
    /// AF_INET.
    Inet,
    /// AF_INET6.
    Inet6,
    /// AF_VSOCK.
    Vsock,
    /// AF_PACKET.
    Packet,
    /// AF_NETLINK.
    Netlink,
    /// Any other, by its number on the daemon's host.
    Raw(i32),
}

/// The type of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketType {
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Dgram,
    /// SOCK_SEQPACKET.
    Seqpacket,
    /// SOCK_RAW.
    Raw,
    /// Any other, by its number on the daemon's host.
    Other(i32),
}

/// The protocol of socket(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// 0: the usual one for domain and type.
    #[default]
    Default,
    /// IPPROTO_ICMP.
    Icmp,
    /// IPPROTO_TCP.
    Tcp,
    /// IPPROTO_UDP.
    Udp,
    /// IPPROTO_ICMPV6.
    Icmpv6,
    /// IPPROTO_SCTP.
    Sctp,
    /// IPPROTO_UDPLITE.
    Udplite,
    /// IPPROTO_RAW.
    Raw,
    /// IPPROTO_MPTCP.
    Mptcp,
    /// Any other, by the number that socket(2) takes.
    Other(i32),
}

/// Which directions shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShutdownHow {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}
