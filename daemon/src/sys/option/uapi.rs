//! Numbers of levels and options: libc's, and those of the kernel's headers that libc lacks.

pub(super) use libc::*;

/// Not a level of setsockopt(2): the option is one of fcntl(2).
pub(super) const FCNTL: c_int = -1;

// asm-generic/socket.h; the architectures that number SO_* otherwise (alpha, mips, parisc, sparc) have libc's numbers for the
// older ones and differ here.
pub(super) const SO_RCVTIMEO_NEW: c_int = 66;
pub(super) const SO_SNDTIMEO_NEW: c_int = 67;
pub(super) const SO_RCVPRIORITY: c_int = 82;
pub(super) const SO_PASSRIGHTS: c_int = 83;
pub(super) const SO_INQ: c_int = 84;

// linux/in.h
pub(super) const IP_RECVERR_RFC4884: c_int = 26;
pub(super) const IP_LOCAL_PORT_RANGE: c_int = 51;
pub(super) const IP_PROTOCOL: c_int = 52;

// linux/in6.h
pub(super) const IPV6_RECVERR_RFC4884: c_int = 31;

// linux/tcp.h
pub(super) const TCP_TX_DELAY: c_int = 37;
pub(super) const TCP_AO_ADD_KEY: c_int = 38;
pub(super) const TCP_AO_DEL_KEY: c_int = 39;
pub(super) const TCP_AO_INFO: c_int = 40;
pub(super) const TCP_AO_GET_KEYS: c_int = 41;
pub(super) const TCP_AO_REPAIR: c_int = 42;
pub(super) const TCP_IS_MPTCP: c_int = 43;
pub(super) const TCP_RTO_MAX_MS: c_int = 44;
pub(super) const TCP_RTO_MIN_US: c_int = 45;
pub(super) const TCP_DELACK_MAX_US: c_int = 46;

// linux/udp.h, linux/udplite.h
pub(super) const SOL_UDPLITE: c_int = IPPROTO_UDPLITE;
pub(super) const UDPLITE_SEND_CSCOV: c_int = 10;
pub(super) const UDPLITE_RECV_CSCOV: c_int = 11;

// linux/icmp.h, linux/icmpv6.h
pub(super) const ICMP_FILTER: c_int = 1;
pub(super) const ICMP6_FILTER: c_int = 1;

// linux/socket.h, linux/mptcp.h
pub(super) const SOL_MPTCP: c_int = 284;
pub(super) const MPTCP_INFO: c_int = 1;
pub(super) const MPTCP_FULL_INFO: c_int = 4;

// linux/vm_sockets.h; the timeout is the one that takes the host's own struct timeval.
pub(super) const SO_VM_SOCKETS_BUFFER_SIZE: c_int = 0;
pub(super) const SO_VM_SOCKETS_BUFFER_MIN_SIZE: c_int = 1;
pub(super) const SO_VM_SOCKETS_BUFFER_MAX_SIZE: c_int = 2;
pub(super) const SO_VM_SOCKETS_CONNECT_TIMEOUT: c_int = 6;
