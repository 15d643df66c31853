//! The options that are refused by level and number: their values carry pointers, descriptors or keys of the calling process,
//! which is the daemon. Everything else is bytes that the kernel copies, and passes.
//!
//! SO_ATTACH_FILTER and SO_ATTACH_REUSEPORT_CBPF carry a pointer too, but are not here: [`super::call`] builds it itself.

use std::ops::RangeInclusive;

use super::uapi;

/// Why setting the option is refused, if it is.
pub(super) fn check_set(level: i32, number: i32) -> Result<(), &'static str> {
    check(level, number, |direction| direction != Direction::Get)
}

/// Why reading the option is refused, if it is.
pub(super) fn check_get(level: i32, number: i32) -> Result<(), &'static str> {
    check(level, number, |direction| direction != Direction::Set)
}

fn check(
    level: i32,
    number: i32,
    concerns: impl Fn(Direction) -> bool,
) -> Result<(), &'static str> {
    let refusal = REFUSALS.iter().find(|refusal| {
        refusal.level == level && refusal.numbers.contains(&number) && concerns(refusal.direction)
    });
    refusal.map_or(Ok(()), |refusal| Err(refusal.reason))
}

struct Refusal {
    level: i32,
    numbers: RangeInclusive<i32>,
    direction: Direction,
    reason: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Set,
    Get,
    Both,
}
use Direction::{Both, Get, Set};

/// Every option of a level.
const ANY: RangeInclusive<i32> = i32::MIN..=i32::MAX;

const fn one(number: i32) -> RangeInclusive<i32> {
    number..=number
}

const fn refuse(
    level: i32,
    numbers: RangeInclusive<i32>,
    direction: Direction,
    reason: &'static str,
) -> Refusal {
    Refusal {
        level,
        numbers,
        direction,
        reason,
    }
}

const DESCRIPTOR: &str = "refused: the value is a descriptor of the daemon's";
const GIVES_DESCRIPTOR: &str = "refused: reading it would make a descriptor in the daemon";
const POINTER: &str = "refused: the value points into the daemon's memory";
const RING: &str = "refused: a ring is kernel memory that only a process on the host can map";
const TABLES: &str =
    "refused: the values of iptables, arptables and ebtables point into the daemon's memory";
const KEYRING: &str = "refused: the value names a key of the daemon's keyrings";

static REFUSALS: &[Refusal] = &[
    refuse(uapi::SOL_SOCKET, one(uapi::SO_ATTACH_BPF), Set, DESCRIPTOR),
    refuse(
        uapi::SOL_SOCKET,
        one(uapi::SO_ATTACH_REUSEPORT_EBPF),
        Set,
        DESCRIPTOR,
    ),
    refuse(
        uapi::SOL_SOCKET,
        one(uapi::SO_PEERPIDFD),
        Get,
        GIVES_DESCRIPTOR,
    ),
    refuse(
        uapi::SOL_SOCKET,
        one(uapi::SO_PASSPIDFD),
        Set,
        "refused: every message received would make a descriptor in the daemon",
    ),
    refuse(
        uapi::SOL_SOCKET,
        one(uapi::SO_ZEROCOPY),
        Set,
        "refused: the kernel would go on reading the daemon's memory after a send has returned",
    ),
    refuse(
        uapi::SOL_SOCKET,
        uapi::SO_DEVMEM_LINEAR..=uapi::SO_DEVMEM_DONTNEED,
        Both,
        "refused: device memory can only be received by a process on the host",
    ),
    // IPT_SO_SET_REPLACE and its like for IPv6, ARP and bridges: counters and entries by pointer. At SOL_IPV6 66 and 67 are
    // IPV6_RECVTCLASS and IPV6_TCLASS.
    refuse(uapi::SOL_IP, 64..=67, Both, TABLES),
    refuse(uapi::SOL_IP, 96..=99, Both, TABLES),
    refuse(uapi::SOL_IP, 128..=131, Both, TABLES),
    refuse(uapi::SOL_IPV6, 64..=65, Both, TABLES),
    refuse(uapi::SOL_IPV6, 68..=69, Both, TABLES),
    refuse(uapi::SOL_IPV6, 96..=99, Both, TABLES),
    refuse(uapi::SOL_IPV6, 128..=131, Both, TABLES),
    // struct tcp_zerocopy_receive.
    refuse(
        uapi::SOL_TCP,
        one(uapi::TCP_ZEROCOPY_RECEIVE),
        Both,
        POINTER,
    ),
    refuse(
        uapi::SOL_TCP,
        one(uapi::TCP_AO_GET_KEYS),
        Get,
        "refused: the buffer itself must say what to read, which no request can",
    ),
    // struct mptcp_full_info.
    refuse(uapi::SOL_MPTCP, one(uapi::MPTCP_FULL_INFO), Get, POINTER),
    // SCTP_SOCKOPT_PEELOFF, SCTP_SOCKOPT_PEELOFF_FLAGS; SCTP_SOCKOPT_CONNECTX3 takes struct sctp_getaddrs_old.
    refuse(uapi::IPPROTO_SCTP, one(102), Both, GIVES_DESCRIPTOR),
    refuse(uapi::IPPROTO_SCTP, one(122), Both, GIVES_DESCRIPTOR),
    refuse(uapi::IPPROTO_SCTP, one(111), Both, POINTER),
    refuse(uapi::SOL_PACKET, one(uapi::PACKET_RX_RING), Set, RING),
    refuse(uapi::SOL_PACKET, one(uapi::PACKET_TX_RING), Set, RING),
    // struct sock_fprog, or the descriptor of a program.
    refuse(
        uapi::SOL_PACKET,
        one(uapi::PACKET_FANOUT_DATA),
        Set,
        POINTER,
    ),
    // Gone since Linux 4.6.
    refuse(uapi::SOL_NETLINK, one(uapi::NETLINK_RX_RING), Set, RING),
    refuse(uapi::SOL_NETLINK, one(uapi::NETLINK_TX_RING), Set, RING),
    // RXRPC_SECURITY_KEY and RXRPC_SECURITY_KEYRING.
    refuse(uapi::SOL_RXRPC, 1..=2, Set, KEYRING),
    // ALG_SET_KEY_BY_KEY_SERIAL; ALG_SET_KEY takes the key's bytes.
    refuse(uapi::SOL_ALG, one(7), Set, KEYRING),
    // RDS_GET_MR and the like; RDS_INFO_* pins the buffer's pages.
    refuse(uapi::SOL_RDS, ANY, Both, POINTER),
    // XDP_UMEM_REG and its rings.
    refuse(uapi::SOL_XDP, ANY, Both, POINTER),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_pointers_or_descriptors_is_refused() {
        for (level, number) in [
            (uapi::SOL_SOCKET, uapi::SO_ATTACH_BPF),
            (uapi::SOL_SOCKET, uapi::SO_ATTACH_REUSEPORT_EBPF),
            (uapi::SOL_SOCKET, uapi::SO_ZEROCOPY),
            (uapi::SOL_IP, 64),
            (uapi::SOL_IPV6, 64),
            (uapi::SOL_PACKET, uapi::PACKET_FANOUT_DATA),
            (uapi::SOL_XDP, 4),
            (uapi::SOL_RDS, i32::MIN),
        ] {
            assert!(check_set(level, number).is_err(), "{level} {number}");
        }
        for (level, number) in [
            (uapi::SOL_SOCKET, uapi::SO_PEERPIDFD),
            (uapi::SOL_TCP, uapi::TCP_ZEROCOPY_RECEIVE),
            (uapi::IPPROTO_SCTP, 102),
            (uapi::SOL_MPTCP, uapi::MPTCP_FULL_INFO),
        ] {
            assert!(check_get(level, number).is_err(), "{level} {number}");
        }
    }

    #[test]
    fn a_refusal_keeps_to_its_direction() {
        assert!(check_get(uapi::SOL_SOCKET, uapi::SO_ZEROCOPY).is_ok());
        assert!(check_get(uapi::SOL_SOCKET, uapi::SO_PASSPIDFD).is_ok());
        assert!(check_set(uapi::SOL_SOCKET, uapi::SO_PEERPIDFD).is_ok());
        assert!(check_set(uapi::SOL_SOCKET, uapi::SO_ATTACH_FILTER).is_ok());
        assert!(check_set(uapi::SOL_ALG, 1).is_ok());
    }

    #[test]
    fn no_named_option_is_refused_but_setting_so_zerocopy() {
        for (_, row) in super::super::all() {
            assert!(check_get(row.level, row.number).is_ok(), "{}", row.name);
            let settable = check_set(row.level, row.number).is_ok();
            assert_eq!(settable, row.name != "SO_ZEROCOPY", "{}", row.name);
        }
    }
}
