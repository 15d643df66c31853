//! Values of options as getsockopt(2) gives them.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use farsock_proto::{
    message::Credentials,
    option::{MulticastInterface, OptionValue},
};

use super::{MAX_LENGTH, row::Kind, tcp_info};
use crate::sys::address;

/// How much room a value needs in getsockopt(2), in bytes.
pub(super) const fn room(kind: Kind) -> usize {
    match kind {
        Kind::Flag | Kind::Int | Kind::Unsigned | Kind::Network => 4,
        Kind::Seconds | Kind::Milliseconds | Kind::Microseconds => 4,
        // Exactly: SO_NETNS_COOKIE refuses more.
        Kind::Long => 8,
        Kind::Timeval => 2 * size_of::<libc::c_long>(),
        Kind::Linger => size_of::<libc::linger>(),
        // The longest are security labels.
        Kind::Name => 4_096,
        Kind::Address => size_of::<libc::sockaddr_storage>(),
        Kind::MulticastInterface => size_of::<libc::ip_mreqn>(),
        Kind::Credentials => size_of::<libc::ucred>(),
        // Twice what Linux 6.18 has.
        Kind::TcpInfo => 560,
        // 16,384 groups.
        Kind::Integers => MAX_LENGTH,
        Kind::Raw | Kind::Filter => MAX_LENGTH,
        // There is nothing to read.
        Kind::Ipv4Membership | Kind::Ipv6Membership | Kind::GroupMembership => 0,
        Kind::Ipv4Source | Kind::GroupSource => 0,
    }
}

/// Decodes what getsockopt(2) gave; `None` if it is not of that kind.
pub(super) fn decode(kind: Kind, bytes: Vec<u8>) -> Option<OptionValue> {
    let time = |unit: fn(u64) -> Duration| {
        Some(OptionValue::Duration(unit(
            u64::try_from(wide(&bytes)?).ok()?,
        )))
    };
    Some(match kind {
        Kind::Flag => OptionValue::Flag(wide(&bytes)? != 0),
        Kind::Int => OptionValue::Integer(signed(&bytes)?),
        Kind::Unsigned | Kind::Long => OptionValue::Integer(wide(&bytes)?),
        Kind::Network => OptionValue::Integer(u32::from_be_bytes(exact(&bytes)?).into()),
        Kind::Seconds => time(Duration::from_secs)?,
        Kind::Milliseconds => time(Duration::from_millis)?,
        Kind::Microseconds => time(Duration::from_micros)?,
        Kind::Timeval => {
            let (seconds, micros) = bytes.split_at_checked(bytes.len() / 2)?;
            let seconds = u64::try_from(signed(seconds)?).ok()?;
            let micros = u64::try_from(signed(micros)?).ok()?;
            OptionValue::Duration(
                Duration::from_secs(seconds).checked_add(Duration::from_micros(micros))?,
            )
        }
        Kind::Linger => {
            let (on, seconds) = bytes.split_at_checked(4)?;
            let seconds = u32::from_ne_bytes(exact(seconds)?);
            let on = wide(on)? != 0;
            OptionValue::Linger(on.then(|| Duration::from_secs(seconds.into())))
        }
        Kind::Name => {
            let end = bytes
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(bytes.len());
            OptionValue::Name(String::from_utf8_lossy(&bytes[..end]).into_owned())
        }
        Kind::Address => OptionValue::Address(address::decode(&bytes)?),
        Kind::MulticastInterface => match bytes.len() {
            4 => OptionValue::MulticastInterface(MulticastInterface {
                index: 0,
                address: Ipv4Addr::from(exact::<4>(&bytes)?),
            }),
            // struct ip_mreqn: group, address, index.
            12 => OptionValue::MulticastInterface(MulticastInterface {
                index: u32::from_ne_bytes(exact(&bytes[8..])?),
                address: Ipv4Addr::from(exact::<4>(&bytes[4..8])?),
            }),
            _ => return None,
        },
        Kind::Credentials => {
            let ([pid, uid, gid], []) = bytes.as_chunks::<4>() else {
                return None;
            };
            OptionValue::Credentials(Credentials {
                pid: i32::from_ne_bytes(*pid),
                uid: u32::from_ne_bytes(*uid),
                gid: u32::from_ne_bytes(*gid),
            })
        }
        Kind::TcpInfo => OptionValue::TcpInfo(Box::new(tcp_info::decode(&bytes))),
        Kind::Integers => {
            let (values, []) = bytes.as_chunks::<4>() else {
                return None;
            };
            OptionValue::Integers(
                values
                    .iter()
                    .map(|value| u32::from_ne_bytes(*value).into())
                    .collect(),
            )
        }
        Kind::Raw | Kind::Filter => OptionValue::Raw(Bytes::from(bytes)),
        Kind::Ipv4Membership | Kind::Ipv6Membership | Kind::GroupMembership => return None,
        Kind::Ipv4Source | Kind::GroupSource => return None,
    })
}

/// An int, or a byte: IP's handlers give one when they are given less room than an int's.
fn signed(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a, b, c, d] => Some(i32::from_ne_bytes([a, b, c, d]).into()),
        _ => wide(bytes),
    }
}

/// An unsigned int or a byte; or a 64-bit integer, whose bits are taken as they are.
fn wide(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [byte] => Some(byte.into()),
        [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => Some(i64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
