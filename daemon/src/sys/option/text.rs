//! Values of options as text, read by the option's kind; the syntax is told at OptionValue's `text`.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use farsock_proto::{
    Violation,
    option::{Membership, MulticastInterface, OptionValue, SourceMembership},
};
use nix::net::if_::if_nametoindex;

use super::row::{Kind, Row};

/// Reads `text` as a value for the option of `row`.
pub(super) fn parse(row: &Row, text: &str) -> Result<OptionValue, Violation> {
    let expected = |what: &str| {
        Violation::new(
            "value.text",
            format!("{} takes {what}, not {text:?}", row.name),
        )
    };
    Ok(match row.kind {
        Kind::Flag => OptionValue::Flag(flag(text).ok_or_else(|| expected("\"on\" or \"off\""))?),
        Kind::Int if matches!(row.name, "IP_MTU_DISCOVER" | "IPV6_MTU_DISCOVER") => {
            let value = integer(text).or_else(|| path_mtu_discovery(text));
            OptionValue::Integer(value.ok_or_else(|| {
                expected("an integer or one of dont (0), want (1), do (2), probe (3), interface (4), omit (5)")
            })?)
        }
        Kind::Int | Kind::Unsigned | Kind::Long | Kind::Network => {
            OptionValue::Integer(integer(text).ok_or_else(|| expected("an integer"))?)
        }
        Kind::Seconds | Kind::Milliseconds | Kind::Microseconds | Kind::Timeval => {
            let time =
                duration(text).ok_or_else(|| expected("a time such as \"2.5s\" or \"300ms\""))?;
            OptionValue::Duration(time)
        }
        Kind::Linger if text == "off" => OptionValue::Linger(None),
        Kind::Linger => {
            let time =
                duration(text).ok_or_else(|| expected("\"off\" or a time such as \"3s\""))?;
            OptionValue::Linger(Some(time))
        }
        Kind::Name => OptionValue::Name(text.to_owned()),
        Kind::Ipv4Membership | Kind::Ipv6Membership | Kind::GroupMembership => {
            let mut words = text.split_ascii_whitespace();
            let group = words.next().and_then(|word| word.parse().ok());
            match (group, words.next(), words.next()) {
                (Some(group), interface, None) => OptionValue::Membership(Membership {
                    group,
                    interface: optional(interface)?,
                }),
                _ => return Err(expected("\"GROUP\" or \"GROUP INTERFACE\"")),
            }
        }
        Kind::Ipv4Source | Kind::GroupSource => {
            let mut words = text.split_ascii_whitespace();
            let mut address = || words.next().and_then(|word| word.parse::<IpAddr>().ok());
            match (address(), address(), words.next(), words.next()) {
                (Some(group), Some(source), interface, None) => {
                    let interface = optional(interface)?;
                    OptionValue::SourceMembership(SourceMembership {
                        group,
                        source,
                        interface,
                    })
                }
                _ => return Err(expected("\"GROUP SOURCE\" or \"GROUP SOURCE INTERFACE\"")),
            }
        }
        Kind::MulticastInterface => OptionValue::MulticastInterface(interface(text)?),
        Kind::Integers => {
            let values = text
                .split(',')
                .map(|value| integer(value.trim()))
                .collect::<Option<_>>();
            OptionValue::Integers(values.ok_or_else(|| expected("integers with commas"))?)
        }
        Kind::Raw | Kind::Filter => {
            let bytes = hexadecimal(text);
            let bytes = bytes.ok_or_else(|| expected("\"0x\" and pairs of hexadecimal digits"))?;
            OptionValue::Raw(bytes.into())
        }
        Kind::Address | Kind::Credentials | Kind::TcpInfo => {
            return Err(Violation::new(
                "option",
                format!("{} can only be read", row.name),
            ));
        }
    })
}

/// Bytes as "0x" and pairs of hexadecimal digits.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.strip_prefix("0x")?.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        // from_str_radix takes a sign.
        Some(digits) if digits.starts_with(['+', '-']) => None,
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What ip(7) and ipv6(7) call IP_PMTUDISC_DO and the like, in any case and without what they begin with.
fn path_mtu_discovery(text: &str) -> Option<i64> {
    let name = text.to_ascii_uppercase();
    let name = ["IP_PMTUDISC_", "IPV6_PMTUDISC_"]
        .iter()
        .find_map(|start| name.strip_prefix(start))
        .unwrap_or(&name);
    Some(match name {
        "DONT" => 0,
        "WANT" => 1,
        "DO" => 2,
        "PROBE" => 3,
        "INTERFACE" => 4,
        "OMIT" => 5,
        _ => return None,
    })
}

/// A decimal number and a unit, as exactly as nanoseconds are.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // More digits than a nanosecond's share of an hour has would be refused below, but overflow first.
    if fraction.is_empty() || fraction.len() > 20 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = fraction.parse::<u128>().ok()?.checked_mul(unit)?;
    if !parts.is_multiple_of(scale) {
        return None;
    }
    let nanos = u128::from(whole.parse::<u64>().ok()?)
        .checked_mul(unit)?
        .checked_add(parts / scale)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(
        seconds,
        u32::try_from(nanos % 1_000_000_000).ok()?,
    ))
}

fn optional(text: Option<&str>) -> Result<MulticastInterface, Violation> {
    let none = MulticastInterface {
        index: 0,
        address: Ipv4Addr::UNSPECIFIED,
    };
    text.map_or(Ok(none), interface)
}

/// An interface of this host: its index, one of its IPv4 addresses, or its name.
fn interface(text: &str) -> Result<MulticastInterface, Violation> {
    if let Ok(address) = text.parse() {
        return Ok(MulticastInterface { index: 0, address });
    }
    let index = match text.parse() {
        Ok(index) => index,
        Err(_) => if_nametoindex(text).map_err(|_| {
            Violation::new(
                "value.text",
                format!("there is no interface {text:?} on the daemon's host"),
            )
        })?,
    };
    Ok(MulticastInterface {
        index,
        address: Ipv4Addr::UNSPECIFIED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_decimal_number_and_a_unit() {
        for (text, time) in [
            ("0s", Duration::ZERO),
            ("2.5s", Duration::from_millis(2_500)),
            ("300ms", Duration::from_millis(300)),
            ("0.000000001s", Duration::from_nanos(1)),
            ("1.5us", Duration::from_nanos(1_500)),
            ("7ns", Duration::from_nanos(7)),
            ("1.5m", Duration::from_secs(90)),
            ("2h", Duration::from_secs(7_200)),
            ("18446744073709551615s", Duration::from_secs(u64::MAX)),
        ] {
            assert_eq!(duration(text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let too_long = format!("0.{}s", "0".repeat(400));
        for text in [
            "",
            "s",
            "1",
            "-1s",
            "+1s",
            "1.s",
            ".5s",
            "1..5s",
            "1.5",
            "1 s",
            "1S",
            "1min",
            "0.5ns",
            "0.0000000001s",
            "18446744073709551616s",
            "18446744073709551615h",
            "1é",
            &too_long,
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_pairs_of_hexadecimal_digits() {
        assert_eq!(hexadecimal("0x"), Some(vec![]));
        assert_eq!(hexadecimal("0x00fFa9"), Some(vec![0, 255, 0xa9]));
        for text in ["", "00", "0x0", "0x0g", "0x+1", "0xé", "0X00"] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }

    #[test]
    fn an_integer_is_decimal_or_hexadecimal() {
        assert_eq!(integer("1500"), Some(1_500));
        assert_eq!(integer("-1"), Some(-1));
        assert_eq!(integer("0x5dc"), Some(1_500));
        for text in ["", "0x", "0x-1", "1.5", "on", "9223372036854775808"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
