//! The options that have a name: one row each. Adding one is a line here and a value of `v1::SocketOption`.

use super::{
    row::{
        Access::{Get, GetSet, Set},
        Kind::*,
        Row,
    },
    uapi,
};

/// A row; the C names of level and option are also the names of their numbers.
macro_rules! row {
    ($level:ident, $name:ident, $kind:ident, $access:ident) => {
        Row {
            name: stringify!($name),
            level_name: stringify!($level),
            level: uapi::$level,
            number: uapi::$name,
            kind: $kind,
            access: $access,
        }
    };
}

/// The rows, in the order of `v1::SocketOption`.
pub(super) static TABLE: &[Row] = &[
    row!(SOL_SOCKET, SO_REUSEADDR, Flag, GetSet),
    row!(SOL_SOCKET, SO_REUSEPORT, Flag, GetSet),
    row!(SOL_SOCKET, SO_KEEPALIVE, Flag, GetSet),
    row!(SOL_SOCKET, SO_BROADCAST, Flag, GetSet),
    row!(SOL_SOCKET, SO_OOBINLINE, Flag, GetSet),
    row!(SOL_SOCKET, SO_DONTROUTE, Flag, GetSet),
    row!(SOL_SOCKET, SO_DEBUG, Flag, GetSet),
    row!(SOL_SOCKET, SO_LINGER, Linger, GetSet),
    row!(SOL_SOCKET, SO_SNDBUF, Int, GetSet),
    row!(SOL_SOCKET, SO_RCVBUF, Int, GetSet),
    row!(SOL_SOCKET, SO_SNDBUFFORCE, Int, Set),
    row!(SOL_SOCKET, SO_RCVBUFFORCE, Int, Set),
    row!(SOL_SOCKET, SO_SNDLOWAT, Int, Get),
    row!(SOL_SOCKET, SO_RCVLOWAT, Int, GetSet),
    row!(SOL_SOCKET, SO_SNDTIMEO, Timeval, GetSet),
    row!(SOL_SOCKET, SO_RCVTIMEO, Timeval, GetSet),
    row!(SOL_SOCKET, SO_ERROR, Int, Get),
    row!(SOL_SOCKET, SO_TYPE, Int, Get),
    row!(SOL_SOCKET, SO_DOMAIN, Int, Get),
    row!(SOL_SOCKET, SO_PROTOCOL, Int, Get),
    row!(SOL_SOCKET, SO_ACCEPTCONN, Flag, Get),
    row!(SOL_SOCKET, SO_PRIORITY, Int, GetSet),
    row!(SOL_SOCKET, SO_MARK, Unsigned, GetSet),
    row!(SOL_SOCKET, SO_RCVMARK, Flag, GetSet),
    row!(SOL_SOCKET, SO_RCVPRIORITY, Flag, GetSet),
    row!(SOL_SOCKET, SO_BINDTODEVICE, Name, GetSet),
    row!(SOL_SOCKET, SO_BINDTOIFINDEX, Int, GetSet),
    row!(SOL_SOCKET, SO_PASSCRED, Flag, GetSet),
    row!(SOL_SOCKET, SO_PEERCRED, Credentials, Get),
    row!(SOL_SOCKET, SO_PEERGROUPS, Integers, Get),
    row!(SOL_SOCKET, SO_PASSSEC, Flag, GetSet),
    row!(SOL_SOCKET, SO_PEERSEC, Name, Get),
    row!(SOL_SOCKET, SO_PASSRIGHTS, Flag, GetSet),
    row!(SOL_SOCKET, SO_TIMESTAMP, Flag, GetSet),
    row!(SOL_SOCKET, SO_TIMESTAMPNS, Flag, GetSet),
    row!(SOL_SOCKET, SO_TIMESTAMPING, Unsigned, GetSet),
    row!(SOL_SOCKET, SO_RXQ_OVFL, Flag, GetSet),
    row!(SOL_SOCKET, SO_WIFI_STATUS, Flag, GetSet),
    row!(SOL_SOCKET, SO_NOFCS, Flag, GetSet),
    row!(SOL_SOCKET, SO_PEEK_OFF, Int, GetSet),
    row!(SOL_SOCKET, SO_SELECT_ERR_QUEUE, Flag, GetSet),
    row!(SOL_SOCKET, SO_BUSY_POLL, Microseconds, GetSet),
    row!(SOL_SOCKET, SO_PREFER_BUSY_POLL, Flag, GetSet),
    row!(SOL_SOCKET, SO_BUSY_POLL_BUDGET, Int, Set),
    row!(SOL_SOCKET, SO_INCOMING_CPU, Int, GetSet),
    row!(SOL_SOCKET, SO_INCOMING_NAPI_ID, Unsigned, Get),
    row!(SOL_SOCKET, SO_MAX_PACING_RATE, Long, GetSet),
    row!(SOL_SOCKET, SO_COOKIE, Long, Get),
    row!(SOL_SOCKET, SO_NETNS_COOKIE, Long, Get),
    row!(SOL_SOCKET, SO_MEMINFO, Integers, Get),
    row!(SOL_SOCKET, SO_ZEROCOPY, Flag, Get),
    row!(SOL_SOCKET, SO_TXTIME, Raw, GetSet),
    row!(SOL_SOCKET, SO_TXREHASH, Int, GetSet),
    row!(SOL_SOCKET, SO_RESERVE_MEM, Int, GetSet),
    row!(SOL_SOCKET, SO_BUF_LOCK, Int, GetSet),
    row!(SOL_SOCKET, SO_NO_CHECK, Flag, GetSet),
    row!(SOL_SOCKET, SO_ATTACH_FILTER, Filter, GetSet),
    row!(SOL_SOCKET, SO_DETACH_FILTER, Int, Set),
    row!(SOL_SOCKET, SO_LOCK_FILTER, Flag, GetSet),
    row!(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, Filter, Set),
    row!(SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, Int, Set),
    row!(SOL_SOCKET, SO_CNX_ADVICE, Int, Set),
    row!(SOL_SOCKET, SO_BPF_EXTENSIONS, Int, Get),
    row!(SOL_SOCKET, SO_INQ, Flag, Set),
    row!(SOL_IP, IP_TOS, Int, GetSet),
    row!(SOL_IP, IP_TTL, Int, GetSet),
    row!(SOL_IP, IP_HDRINCL, Flag, GetSet),
    row!(SOL_IP, IP_OPTIONS, Raw, GetSet),
    row!(SOL_IP, IP_ROUTER_ALERT, Flag, GetSet),
    row!(SOL_IP, IP_RECVOPTS, Flag, GetSet),
    row!(SOL_IP, IP_RETOPTS, Flag, GetSet),
    row!(SOL_IP, IP_PKTINFO, Flag, GetSet),
    row!(SOL_IP, IP_PKTOPTIONS, Raw, Get),
    row!(SOL_IP, IP_MTU_DISCOVER, Int, GetSet),
    row!(SOL_IP, IP_RECVERR, Flag, GetSet),
    row!(SOL_IP, IP_RECVERR_RFC4884, Flag, GetSet),
    row!(SOL_IP, IP_RECVTTL, Flag, GetSet),
    row!(SOL_IP, IP_RECVTOS, Flag, GetSet),
    row!(SOL_IP, IP_MTU, Int, Get),
    row!(SOL_IP, IP_FREEBIND, Flag, GetSet),
    row!(SOL_IP, IP_PASSSEC, Flag, GetSet),
    row!(SOL_IP, IP_TRANSPARENT, Flag, GetSet),
    row!(SOL_IP, IP_RECVORIGDSTADDR, Flag, GetSet),
    row!(SOL_IP, IP_MINTTL, Int, GetSet),
    row!(SOL_IP, IP_NODEFRAG, Flag, GetSet),
    row!(SOL_IP, IP_CHECKSUM, Flag, GetSet),
    row!(SOL_IP, IP_BIND_ADDRESS_NO_PORT, Flag, GetSet),
    row!(SOL_IP, IP_RECVFRAGSIZE, Flag, GetSet),
    row!(SOL_IP, IP_MULTICAST_IF, MulticastInterface, GetSet),
    row!(SOL_IP, IP_MULTICAST_TTL, Int, GetSet),
    row!(SOL_IP, IP_MULTICAST_LOOP, Flag, GetSet),
    row!(SOL_IP, IP_MULTICAST_ALL, Flag, GetSet),
    row!(SOL_IP, IP_UNICAST_IF, Network, GetSet),
    row!(SOL_IP, IP_LOCAL_PORT_RANGE, Unsigned, GetSet),
    row!(SOL_IP, IP_PROTOCOL, Int, Get),
    row!(SOL_IP, IP_ADD_MEMBERSHIP, Ipv4Membership, Set),
    row!(SOL_IP, IP_DROP_MEMBERSHIP, Ipv4Membership, Set),
    row!(SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, Ipv4Source, Set),
    row!(SOL_IP, IP_DROP_SOURCE_MEMBERSHIP, Ipv4Source, Set),
    row!(SOL_IP, IP_BLOCK_SOURCE, Ipv4Source, Set),
    row!(SOL_IP, IP_UNBLOCK_SOURCE, Ipv4Source, Set),
    row!(SOL_IP, IP_MSFILTER, Raw, Set),
    row!(SOL_IP, IP_XFRM_POLICY, Raw, Set),
    row!(SOL_IP, SO_ORIGINAL_DST, Address, Get),
    row!(SOL_IPV6, IPV6_V6ONLY, Flag, GetSet),
    row!(SOL_IPV6, IPV6_UNICAST_HOPS, Int, GetSet),
    row!(SOL_IPV6, IPV6_MULTICAST_IF, Int, GetSet),
    row!(SOL_IPV6, IPV6_MULTICAST_HOPS, Int, GetSet),
    row!(SOL_IPV6, IPV6_MULTICAST_LOOP, Flag, GetSet),
    row!(SOL_IPV6, IPV6_MULTICAST_ALL, Flag, GetSet),
    row!(SOL_IPV6, IPV6_ADD_MEMBERSHIP, Ipv6Membership, Set),
    row!(SOL_IPV6, IPV6_DROP_MEMBERSHIP, Ipv6Membership, Set),
    row!(SOL_IPV6, IPV6_JOIN_ANYCAST, Ipv6Membership, Set),
    row!(SOL_IPV6, IPV6_LEAVE_ANYCAST, Ipv6Membership, Set),
    row!(SOL_IPV6, IPV6_MTU_DISCOVER, Int, GetSet),
    row!(SOL_IPV6, IPV6_MTU, Int, GetSet),
    row!(SOL_IPV6, IPV6_DONTFRAG, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RECVERR, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RECVERR_RFC4884, Flag, GetSet),
    row!(SOL_IPV6, IPV6_FREEBIND, Flag, GetSet),
    row!(SOL_IPV6, IPV6_TRANSPARENT, Flag, GetSet),
    row!(SOL_IPV6, IPV6_HDRINCL, Flag, GetSet),
    row!(SOL_IPV6, IPV6_TCLASS, Int, GetSet),
    row!(SOL_IPV6, IPV6_AUTOFLOWLABEL, Flag, GetSet),
    row!(SOL_IPV6, IPV6_FLOWINFO, Flag, GetSet),
    row!(SOL_IPV6, IPV6_FLOWINFO_SEND, Flag, GetSet),
    row!(SOL_IPV6, IPV6_FLOWLABEL_MGR, Raw, GetSet),
    row!(SOL_IPV6, IPV6_RECVPKTINFO, Flag, GetSet),
    row!(SOL_IPV6, IPV6_PKTINFO, Raw, Set),
    row!(SOL_IPV6, IPV6_RECVHOPLIMIT, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RECVTCLASS, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RECVHOPOPTS, Flag, GetSet),
    row!(SOL_IPV6, IPV6_HOPOPTS, Raw, GetSet),
    row!(SOL_IPV6, IPV6_RECVDSTOPTS, Flag, GetSet),
    row!(SOL_IPV6, IPV6_DSTOPTS, Raw, GetSet),
    row!(SOL_IPV6, IPV6_RTHDRDSTOPTS, Raw, GetSet),
    row!(SOL_IPV6, IPV6_RECVRTHDR, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RTHDR, Raw, GetSet),
    row!(SOL_IPV6, IPV6_RECVPATHMTU, Flag, GetSet),
    row!(SOL_IPV6, IPV6_PATHMTU, Raw, Get),
    row!(SOL_IPV6, IPV6_ADDR_PREFERENCES, Int, GetSet),
    row!(SOL_IPV6, IPV6_MINHOPCOUNT, Int, GetSet),
    row!(SOL_IPV6, IPV6_RECVORIGDSTADDR, Flag, GetSet),
    row!(SOL_IPV6, IPV6_RECVFRAGSIZE, Flag, GetSet),
    row!(SOL_IPV6, IPV6_UNICAST_IF, Network, GetSet),
    row!(SOL_IPV6, IPV6_ROUTER_ALERT, Int, GetSet),
    row!(SOL_IPV6, IPV6_ROUTER_ALERT_ISOLATE, Flag, GetSet),
    row!(SOL_IPV6, IPV6_CHECKSUM, Int, GetSet),
    row!(SOL_IPV6, IPV6_ADDRFORM, Int, GetSet),
    row!(SOL_IPV6, IPV6_XFRM_POLICY, Raw, Set),
    row!(SOL_IPV6, IP6T_SO_ORIGINAL_DST, Address, Get),
    row!(SOL_IP, MCAST_JOIN_GROUP, GroupMembership, Set),
    row!(SOL_IP, MCAST_LEAVE_GROUP, GroupMembership, Set),
    row!(SOL_IP, MCAST_JOIN_SOURCE_GROUP, GroupSource, Set),
    row!(SOL_IP, MCAST_LEAVE_SOURCE_GROUP, GroupSource, Set),
    row!(SOL_IP, MCAST_BLOCK_SOURCE, GroupSource, Set),
    row!(SOL_IP, MCAST_UNBLOCK_SOURCE, GroupSource, Set),
    row!(SOL_TCP, TCP_NODELAY, Flag, GetSet),
    row!(SOL_TCP, TCP_CORK, Flag, GetSet),
    row!(SOL_TCP, TCP_MAXSEG, Int, GetSet),
    row!(SOL_TCP, TCP_KEEPIDLE, Seconds, GetSet),
    row!(SOL_TCP, TCP_KEEPINTVL, Seconds, GetSet),
    row!(SOL_TCP, TCP_KEEPCNT, Int, GetSet),
    row!(SOL_TCP, TCP_SYNCNT, Int, GetSet),
    row!(SOL_TCP, TCP_LINGER2, Int, GetSet),
    row!(SOL_TCP, TCP_DEFER_ACCEPT, Seconds, GetSet),
    row!(SOL_TCP, TCP_WINDOW_CLAMP, Int, GetSet),
    row!(SOL_TCP, TCP_INFO, TcpInfo, Get),
    row!(SOL_TCP, TCP_QUICKACK, Flag, GetSet),
    row!(SOL_TCP, TCP_CONGESTION, Name, GetSet),
    row!(SOL_TCP, TCP_USER_TIMEOUT, Milliseconds, GetSet),
    row!(SOL_TCP, TCP_NOTSENT_LOWAT, Unsigned, GetSet),
    row!(SOL_TCP, TCP_FASTOPEN, Int, GetSet),
    row!(SOL_TCP, TCP_FASTOPEN_CONNECT, Flag, GetSet),
    row!(SOL_TCP, TCP_FASTOPEN_KEY, Raw, GetSet),
    row!(SOL_TCP, TCP_FASTOPEN_NO_COOKIE, Flag, GetSet),
    row!(SOL_TCP, TCP_SAVE_SYN, Int, GetSet),
    row!(SOL_TCP, TCP_SAVED_SYN, Raw, Get),
    row!(SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, Flag, GetSet),
    row!(SOL_TCP, TCP_THIN_DUPACK, Flag, GetSet),
    row!(SOL_TCP, TCP_TIMESTAMP, Unsigned, GetSet),
    row!(SOL_TCP, TCP_CC_INFO, Raw, Get),
    row!(SOL_TCP, TCP_ULP, Name, GetSet),
    row!(SOL_TCP, TCP_INQ, Flag, GetSet),
    row!(SOL_TCP, TCP_TX_DELAY, Microseconds, GetSet),
    row!(SOL_TCP, TCP_MD5SIG, Raw, Set),
    row!(SOL_TCP, TCP_MD5SIG_EXT, Raw, Set),
    row!(SOL_TCP, TCP_REPAIR, Int, GetSet),
    row!(SOL_TCP, TCP_REPAIR_QUEUE, Int, GetSet),
    row!(SOL_TCP, TCP_QUEUE_SEQ, Unsigned, GetSet),
    row!(SOL_TCP, TCP_REPAIR_OPTIONS, Raw, Set),
    row!(SOL_TCP, TCP_REPAIR_WINDOW, Raw, GetSet),
    row!(SOL_TCP, TCP_AO_ADD_KEY, Raw, Set),
    row!(SOL_TCP, TCP_AO_DEL_KEY, Raw, Set),
    row!(SOL_TCP, TCP_AO_INFO, Raw, GetSet),
    row!(SOL_TCP, TCP_AO_REPAIR, Raw, GetSet),
    row!(SOL_TCP, TCP_IS_MPTCP, Flag, Get),
    row!(SOL_TCP, TCP_RTO_MAX_MS, Milliseconds, GetSet),
    row!(SOL_TCP, TCP_RTO_MIN_US, Microseconds, GetSet),
    row!(SOL_TCP, TCP_DELACK_MAX_US, Microseconds, GetSet),
    row!(SOL_UDP, UDP_CORK, Flag, GetSet),
    row!(SOL_UDP, UDP_SEGMENT, Int, GetSet),
    row!(SOL_UDP, UDP_GRO, Flag, GetSet),
    row!(SOL_UDP, UDP_ENCAP, Int, GetSet),
    row!(SOL_UDP, UDP_NO_CHECK6_TX, Flag, GetSet),
    row!(SOL_UDP, UDP_NO_CHECK6_RX, Flag, GetSet),
    row!(SOL_UDPLITE, UDPLITE_SEND_CSCOV, Int, GetSet),
    row!(SOL_UDPLITE, UDPLITE_RECV_CSCOV, Int, GetSet),
    row!(SOL_RAW, ICMP_FILTER, Unsigned, GetSet),
    row!(SOL_ICMPV6, ICMP6_FILTER, Raw, GetSet),
    row!(SOL_MPTCP, MPTCP_INFO, Raw, Get),
    row!(SOL_TLS, TLS_TX, Raw, GetSet),
    row!(SOL_TLS, TLS_RX, Raw, GetSet),
    row!(AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, Long, GetSet),
    row!(AF_VSOCK, SO_VM_SOCKETS_BUFFER_MIN_SIZE, Long, GetSet),
    row!(AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, Long, GetSet),
    row!(AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, Timeval, GetSet),
    row!(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, Unsigned, Set),
    row!(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, Unsigned, Set),
    row!(SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, Integers, Get),
    row!(SOL_NETLINK, NETLINK_PKTINFO, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_BROADCAST_ERROR, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_NO_ENOBUFS, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_CAP_ACK, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_EXT_ACK, Flag, GetSet),
    row!(SOL_NETLINK, NETLINK_GET_STRICT_CHK, Flag, GetSet),
    row!(SOL_PACKET, PACKET_ADD_MEMBERSHIP, Raw, Set),
    row!(SOL_PACKET, PACKET_DROP_MEMBERSHIP, Raw, Set),
    row!(SOL_PACKET, PACKET_STATISTICS, Integers, Get),
    row!(SOL_PACKET, PACKET_ROLLOVER_STATS, Raw, Get),
    row!(SOL_PACKET, PACKET_AUXDATA, Flag, GetSet),
    row!(SOL_PACKET, PACKET_ORIGDEV, Flag, GetSet),
    row!(SOL_PACKET, PACKET_VERSION, Int, GetSet),
    row!(SOL_PACKET, PACKET_RESERVE, Unsigned, GetSet),
    row!(SOL_PACKET, PACKET_LOSS, Flag, GetSet),
    row!(SOL_PACKET, PACKET_VNET_HDR, Flag, GetSet),
    row!(SOL_PACKET, PACKET_VNET_HDR_SZ, Int, GetSet),
    row!(SOL_PACKET, PACKET_TIMESTAMP, Unsigned, GetSet),
    row!(SOL_PACKET, PACKET_FANOUT, Unsigned, GetSet),
    row!(SOL_PACKET, PACKET_TX_HAS_OFF, Flag, GetSet),
    row!(SOL_PACKET, PACKET_QDISC_BYPASS, Flag, GetSet),
    row!(SOL_PACKET, PACKET_IGNORE_OUTGOING, Flag, GetSet),
    row!(SOL_PACKET, PACKET_COPY_THRESH, Int, GetSet),
    // Kept by the handle, not the kernel: the descriptor itself is always non-blocking.
    row!(FCNTL, O_NONBLOCK, Flag, GetSet),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use farsock_proto::v1;

    use super::*;
    use crate::sys::option::row::{all, find, option_named};

    /// Every value of the enum but the unspecified one, found by trying all numbers that it may have.
    fn named_options() -> Vec<v1::SocketOption> {
        (1..1000)
            .filter_map(|number| v1::SocketOption::try_from(number).ok())
            .collect()
    }

    #[test]
    fn every_row_has_an_option_and_every_option_a_row() {
        let by_row: Vec<_> = TABLE
            .iter()
            .map(|row| (row.name, option_named(row.name)))
            .collect();
        for (name, option) in &by_row {
            assert!(option.is_some(), "no SOCKET_OPTION_{name}");
        }
        let distinct: HashSet<_> = by_row.iter().collect();
        assert_eq!(distinct.len(), TABLE.len(), "a name has two rows");
        for option in named_options() {
            let row = find(option).unwrap_or_else(|| panic!("no row for {}", option.as_str_name()));
            assert_eq!(option.as_str_name(), format!("SOCKET_OPTION_{}", row.name));
        }
        assert_eq!(named_options().len(), TABLE.len());
        assert!(TABLE.len() >= 110);
        assert!(find(v1::SocketOption::Unspecified).is_none());
    }

    #[test]
    fn rows_stand_in_the_order_of_their_options() {
        assert!(all().map(|(option, _)| option).eq(named_options()));
    }

    #[test]
    fn no_two_rows_are_the_same_option_of_the_kernel() {
        for access in [Row::settable, Row::readable] {
            let mut seen = HashSet::new();
            for row in TABLE.iter().filter(|row| access(row)) {
                assert!(
                    seen.insert((row.level, row.number)),
                    "{} is there twice",
                    row.name
                );
            }
        }
    }
}
