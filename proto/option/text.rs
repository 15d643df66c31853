//! Option values as people read them.

use std::{fmt, time::Duration};

use super::{Membership, MulticastInterface, OptionValue, SourceMembership};
use crate::{
    time::{duration_from_wire, format_duration},
    v1,
};

/// As the wire's `text` would be read by the option's kind: "on", "1500", "2.5s", "off" for no
/// linger, names, addresses, "GROUP SOURCE INTERFACE", integers with commas, "0x" and hexadecimal
/// digits. Credentials and TCP_INFO, which no text is read as, are "key=value ..." on one line.
impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(true) => f.write_str("on"),
            Self::Flag(false) | Self::Linger(None) => f.write_str("off"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Duration(duration) | Self::Linger(Some(duration)) => {
                f.write_str(&format_duration(*duration))
            }
            Self::Name(text) | Self::Text(text) => f.write_str(text),
            Self::Address(address) => write!(f, "{address}"),
            Self::Membership(Membership { group, interface }) => {
                write!(f, "{group}")?;
                write_chosen(f, interface)
            }
            Self::SourceMembership(SourceMembership {
                group,
                source,
                interface,
            }) => {
                write!(f, "{group} {source}")?;
                write_chosen(f, interface)
            }
            Self::MulticastInterface(interface) => write!(f, "{interface}"),
            Self::Credentials(of) => write!(f, "pid={} uid={} gid={}", of.pid, of.uid, of.gid),
            Self::TcpInfo(info) => write_tcp_info(f, info),
            Self::Integers(numbers) => {
                for (index, number) in numbers.iter().enumerate() {
                    write!(f, "{}{number}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::Raw(data) => write!(f, "0x{data:x}"),
        }
    }
}

/// The index, or the address, whichever the kernel goes by; "0.0.0.0" for neither.
impl fmt::Display for MulticastInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.index == 0 {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}", self.index)
        }
    }
}

/// The interface behind a group, unless the kernel is to choose.
fn write_chosen(f: &mut fmt::Formatter<'_>, interface: &MulticastInterface) -> fmt::Result {
    if interface.index == 0 && interface.address.is_unspecified() {
        Ok(())
    } else {
        write!(f, " {interface}")
    }
}

/// "key=value ..." of every field that is there. It goes by the generated Debug, "TcpInfo { key:
/// value, ... }", so that a field that is added shows without a line here.
fn write_tcp_info(f: &mut fmt::Formatter<'_>, info: &v1::TcpInfo) -> fmt::Result {
    let debug = format!("{info:?}");
    let fields = debug.trim_start_matches("TcpInfo { ").trim_end_matches('}');
    let mut separator = "";
    for (key, value) in split_outside_brackets(fields).filter_map(|field| field.split_once(": ")) {
        let value = match value.strip_prefix("Some(") {
            Some(inner) => inner.trim_end_matches(')'),
            None => value,
        };
        if value == "None" {
            continue;
        }
        match read_duration(value) {
            Some(duration) => write!(f, "{separator}{key}={}", format_duration(duration))?,
            None => write!(f, "{separator}{key}={}", value.replace(", ", ","))?,
        }
        separator = " ";
    }
    Ok(())
}

/// The parts of a Debug text between its outermost commas.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
}

/// A duration of the wire out of its Debug text.
fn read_duration(debug: &str) -> Option<Duration> {
    let fields = debug.strip_prefix("Duration { seconds: ")?;
    let (seconds, nanos) = fields.strip_suffix(" }")?.split_once(", nanos: ")?;
    duration_from_wire(prost_types::Duration {
        seconds: seconds.parse().ok()?,
        nanos: nanos.parse().ok()?,
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{message::Credentials, strategy, time::duration_to_wire};

    const ANY: MulticastInterface = MulticastInterface {
        index: 0,
        address: Ipv4Addr::UNSPECIFIED,
    };
    const SECOND: MulticastInterface = MulticastInterface { index: 2, ..ANY };
    const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 1, 1, 1));
    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn values_print_as_people_write_them() {
        let of_group = |interface| {
            OptionValue::Membership(Membership {
                group: GROUP,
                interface,
            })
        };
        let of_source = |interface| {
            OptionValue::SourceMembership(SourceMembership {
                group: GROUP,
                source: SOURCE,
                interface,
            })
        };
        let by_address = MulticastInterface {
            index: 0,
            address: Ipv4Addr::LOCALHOST,
        };
        for (value, text) in [
            (OptionValue::Flag(true), "on"),
            (OptionValue::Flag(false), "off"),
            (OptionValue::Integer(1_500), "1500"),
            (OptionValue::Integer(i64::MIN), "-9223372036854775808"),
            (OptionValue::Duration(Duration::from_millis(2_500)), "2.5s"),
            (OptionValue::Duration(Duration::ZERO), "0s"),
            (OptionValue::Linger(None), "off"),
            (OptionValue::Linger(Some(Duration::from_secs(5))), "5s"),
            (OptionValue::Name("cubic".to_owned()), "cubic"),
            (
                OptionValue::Address("[::1]:80".parse().expect("is taken")),
                "[::1]:80",
            ),
            (of_group(ANY), "239.1.1.1"),
            (of_group(SECOND), "239.1.1.1 2"),
            (of_group(by_address), "239.1.1.1 127.0.0.1"),
            (of_source(ANY), "239.1.1.1 192.0.2.1"),
            (of_source(SECOND), "239.1.1.1 192.0.2.1 2"),
            (OptionValue::MulticastInterface(ANY), "0.0.0.0"),
            (OptionValue::MulticastInterface(SECOND), "2"),
            (OptionValue::MulticastInterface(by_address), "127.0.0.1"),
            (
                OptionValue::Credentials(Credentials {
                    pid: 1,
                    uid: 0,
                    gid: 5,
                }),
                "pid=1 uid=0 gid=5",
            ),
            (OptionValue::Integers(vec![]), ""),
            (OptionValue::Integers(vec![1, -2, 3]), "1,-2,3"),
            (OptionValue::Raw(Bytes::from_static(b"\x00\xff")), "0x00ff"),
            (OptionValue::Raw(Bytes::new()), "0x"),
            (OptionValue::Text("1, 2".to_owned()), "1, 2"),
        ] {
            assert_eq!(value.to_string(), text, "{value:?}");
        }
    }

    #[test]
    fn tcp_info_prints_as_keys_and_values_with_readable_durations() {
        let info = v1::TcpInfo {
            rtt: Some(duration_to_wire(Duration::from_micros(1_500))),
            ..Default::default()
        };
        let text = OptionValue::TcpInfo(Box::new(info)).to_string();
        let pairs: Vec<_> = text.split(' ').collect();
        assert!(pairs.contains(&"state=Unspecified"), "{text}");
        assert!(pairs.contains(&"rtt=1.5ms"), "{text}");
        assert!(
            pairs.iter().all(|pair| pair.split('=').count() == 2),
            "{text}"
        );
    }

    #[test]
    fn what_tcp_info_does_not_have_is_not_printed() {
        let text = OptionValue::TcpInfo(Box::default()).to_string();
        assert!(
            text.contains("state=Unspecified") && !text.contains("rtt="),
            "{text}"
        );
    }

    #[test]
    fn a_list_in_debug_text_is_one_part() {
        let parts: Vec<_> =
            split_outside_brackets("a: 1, b: [X, Y], c: Some(D { e: 1, f: 2 })").collect();
        assert_eq!(parts, ["a: 1", "b: [X, Y]", "c: Some(D { e: 1, f: 2 })"]);
    }

    proptest! {
        #[test]
        fn every_value_but_names_and_text_prints_on_one_line(value in strategy::option_value()) {
            let free = matches!(
                value,
                OptionValue::Name(_) | OptionValue::Text(_) | OptionValue::Address(_)
            );
            prop_assert!(free || value.to_string().lines().count() <= 1);
        }
    }
}
