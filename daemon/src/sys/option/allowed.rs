//! The options by level and number that pass without being asked for: those that have a name, and those whose values are known to be plain
//! bytes, on every kernel so far. What the next kernel, or a module, does with the others nobody knows: a value may point into the daemon's memory,
//! or name one of its descriptors.
//!
//! What is known to do that is [`refused`](super::refused) whatever the settings say.

use std::ops::RangeInclusive;

use super::{table::TABLE, uapi};

/// What callers may ask for beyond what is known to be harmless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// It is refused.
    #[default]
    Refused,
    /// It is the kernel's to judge.
    Allowed,
}

/// Whether an option may be set and read by level and number.
pub(super) fn check(level: i32, number: i32, unlisted: Unlisted) -> Result<(), String> {
    if unlisted == Unlisted::Allowed || is_listed(level, number) {
        return Ok(());
    }
    Err(format!(
        "refused: option {number} of level {level} is none of those that are known to be harmless to the daemon; farsockd \
         --allow-raw-options allows it"
    ))
}

fn is_listed(level: i32, number: i32) -> bool {
    LISTED
        .iter()
        .any(|(of, numbers)| *of == level && numbers.contains(&number))
        || TABLE
            .iter()
            .any(|row| row.level == level && row.number == number)
}

/// Beside those that have a name.
static LISTED: &[(i32, RangeInclusive<i32>)] = &[
    // SO_DEBUG to SO_INQ.
    (uapi::SOL_SOCKET, 1..=uapi::SO_INQ),
    // IP_TOS to IP_PROTOCOL; 64 and on are netfilter's.
    (uapi::SOL_IP, 1..=uapi::IP_PROTOCOL),
    // IPV6_ADDRFORM to IPV6_RECVRTHDR and so on, up to netfilter's 64; IPV6_RECVTCLASS, IPV6_TCLASS; IPV6_AUTOFLOWLABEL to
    // IPV6_RECVFRAGSIZE.
    (uapi::SOL_IPV6, 1..=63),
    (uapi::SOL_IPV6, 66..=67),
    (uapi::SOL_IPV6, 70..=78),
    // TCP_NODELAY to TCP_DELACK_MAX_US.
    (uapi::SOL_TCP, 1..=uapi::TCP_DELACK_MAX_US),
    // UDP_CORK, UDP_ENCAP to UDP_GRO; UDP-Lite has the same and its own.
    (uapi::SOL_UDP, 1..=1),
    (uapi::SOL_UDP, 100..=104),
    (uapi::SOL_UDPLITE, 1..=11),
    // MPTCP_INFO, MPTCP_TCPINFO, MPTCP_SUBFLOW_ADDRS.
    (uapi::SOL_MPTCP, 1..=3),
    // TLS_TX to TLS_TX_MAX_PAYLOAD_LEN.
    (uapi::SOL_TLS, 1..=5),
    // Those of the RFC, and the extensions: addresses and numbers. SCTP has no names here.
    (uapi::IPPROTO_SCTP, 0..=40),
    (uapi::IPPROTO_SCTP, 100..=133),
    // SO_VM_SOCKETS_BUFFER_SIZE to SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW.
    (uapi::AF_VSOCK, 0..=8),
    // NETLINK_ADD_MEMBERSHIP to NETLINK_GET_STRICT_CHK.
    (uapi::SOL_NETLINK, 1..=12),
    // PACKET_ADD_MEMBERSHIP to PACKET_VNET_HDR_SZ.
    (uapi::SOL_PACKET, 1..=24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_passes_by_number_too() {
        for row in TABLE {
            let passes = check(row.level, row.number, Unlisted::Refused);
            assert_eq!(passes, Ok(()), "{}", row.name);
        }
    }

    #[test]
    fn levels_of_families_without_a_name_and_numbers_of_nobody_do_not_pass_unless_they_may() {
        // The levels of ALG, RDS, RxRPC, Bluetooth, KCM, XDP and SMC, DCCP and L2TP; and numbers beyond those of this kernel, netfilter's
        // among them.
        let levels = [
            uapi::SOL_ALG,
            uapi::SOL_RDS,
            uapi::SOL_RXRPC,
            274,
            281,
            uapi::SOL_XDP,
            286,
            269,
            273,
            i32::MAX,
            i32::MIN,
        ];
        let unlisted = levels.map(|level| (level, 1)).into_iter().chain([
            (uapi::SOL_SOCKET, uapi::SO_INQ + 1),
            (uapi::SOL_SOCKET, i32::MAX),
            (uapi::SOL_SOCKET, -1),
            (uapi::SOL_IP, 64),
            (uapi::SOL_IP, 1152),
            (uapi::SOL_IPV6, 64),
            (uapi::SOL_TCP, uapi::TCP_DELACK_MAX_US + 1),
        ]);
        for (level, number) in unlisted {
            let refused = check(level, number, Unlisted::Refused).unwrap_err();
            assert!(refused.contains("--allow-raw-options"), "{refused}");
            assert_eq!(check(level, number, Unlisted::Allowed), Ok(()));
        }
    }
}
