//! Option values from and to the wire.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{Membership, MulticastInterface, OptionValue, SourceMembership};
use crate::{
    Violation,
    address::{
        Address, Zones,
        host::{ipv4_or_empty, parse_host, scope_id},
    },
    time::{duration_from_wire, duration_to_wire},
    v1::{self, option_value::Value},
};

/// What struct linger's int holds.
const MAX_LINGER_SECONDS: u64 = 2_147_483_647;

impl OptionValue {
    /// Reads a value of a request; `zones` knows the interfaces of the daemon's host. Text stays
    /// text: only the option's kind tells how to read it.
    ///
    /// # Errors
    /// A [`Violation`] of the field, such as "linger.duration"; of "" without any value.
    pub fn from_wire(wire: v1::OptionValue, zones: Zones<'_>) -> Result<Self, Violation> {
        let value = wire.value.ok_or_else(|| {
            Violation::of_value("there is no value; give the form of the option's kind, or text")
        })?;
        match value {
            Value::Flag(on) => Ok(Self::Flag(on)),
            Value::Integer(number) => Ok(Self::Integer(number)),
            Value::Duration(duration) => duration_from_wire(duration)
                .map(Self::Duration)
                .map_err(|violation| violation.within("duration")),
            Value::Linger(linger) => linger_from_wire(linger)
                .map(Self::Linger)
                .map_err(|violation| violation.within("linger")),
            Value::Name(name) => Ok(Self::Name(name)),
            Value::Address(address) => Address::from_wire(address, zones)
                .map(Self::Address)
                .map_err(|violation| violation.within("address")),
            Value::Membership(membership) => membership_from_wire(&membership, zones)
                .map(Self::Membership)
                .map_err(|violation| violation.within("membership")),
            Value::SourceMembership(membership) => source_membership_from_wire(&membership, zones)
                .map(Self::SourceMembership)
                .map_err(|violation| violation.within("source_membership")),
            Value::MulticastInterface(v1::MulticastInterface {
                interface_index,
                interface_address,
            }) => interface_from_wire(interface_index, &interface_address)
                .map(Self::MulticastInterface)
                .map_err(|violation| violation.within("multicast_interface")),
            Value::Credentials(credentials) => Ok(Self::Credentials(credentials.into())),
            Value::TcpInfo(_) => Err(Violation::new(
                "tcp_info",
                "is read only: no option takes it",
            )),
            Value::Integers(v1::Integers { values }) => Ok(Self::Integers(values)),
            Value::Raw(data) => Ok(Self::Raw(data)),
            Value::Text(text) => Ok(Self::Text(text)),
        }
    }
}

impl From<OptionValue> for v1::OptionValue {
    fn from(value: OptionValue) -> Self {
        let value = match value {
            OptionValue::Flag(on) => Value::Flag(on),
            OptionValue::Integer(number) => Value::Integer(number),
            OptionValue::Duration(duration) => Value::Duration(duration_to_wire(duration)),
            OptionValue::Linger(linger) => Value::Linger(v1::Linger {
                enabled: linger.is_some(),
                duration: linger.map(duration_to_wire),
            }),
            OptionValue::Name(name) => Value::Name(name),
            OptionValue::Address(address) => Value::Address(address.into()),
            OptionValue::Membership(Membership { group, interface }) => {
                Value::Membership(v1::Membership {
                    group: group.to_string(),
                    interface_index: interface.index,
                    interface_address: empty_or_ipv4(interface.address),
                })
            }
            OptionValue::SourceMembership(SourceMembership {
                group,
                source,
                interface,
            }) => Value::SourceMembership(v1::SourceMembership {
                group: group.to_string(),
                source: source.to_string(),
                interface_index: interface.index,
                interface_address: empty_or_ipv4(interface.address),
            }),
            OptionValue::MulticastInterface(interface) => {
                Value::MulticastInterface(v1::MulticastInterface {
                    interface_index: interface.index,
                    interface_address: empty_or_ipv4(interface.address),
                })
            }
            OptionValue::Credentials(credentials) => Value::Credentials(credentials.into()),
            OptionValue::TcpInfo(info) => Value::TcpInfo(info),
            OptionValue::Integers(values) => Value::Integers(v1::Integers { values }),
            OptionValue::Raw(data) => Value::Raw(data),
            OptionValue::Text(text) => Value::Text(text),
        };
        Self { value: Some(value) }
    }
}

fn linger_from_wire(wire: v1::Linger) -> Result<Option<Duration>, Violation> {
    let duration = duration_from_wire(wire.duration.unwrap_or_default())
        .map_err(|violation| violation.within("duration"))?;
    if duration.subsec_nanos() != 0 || duration.as_secs() > MAX_LINGER_SECONDS {
        return Err(Violation::new(
            "duration",
            "must be whole seconds, from 0 to 2,147,483,647",
        ));
    }
    Ok(wire.enabled.then_some(duration))
}

fn membership_from_wire(wire: &v1::Membership, zones: Zones<'_>) -> Result<Membership, Violation> {
    let (group, interface) = group_from_wire(
        &wire.group,
        wire.interface_index,
        &wire.interface_address,
        zones,
    )?;
    Ok(Membership { group, interface })
}

fn source_membership_from_wire(
    wire: &v1::SourceMembership,
    zones: Zones<'_>,
) -> Result<SourceMembership, Violation> {
    let (group, interface) = group_from_wire(
        &wire.group,
        wire.interface_index,
        &wire.interface_address,
        zones,
    )?;
    let (source, zone) =
        parse_host(&wire.source, Some(zones)).map_err(|violation| violation.within("source"))?;
    if zone.is_some() {
        return Err(Violation::new(
            "source",
            "takes no zone; the interface is interface_index",
        ));
    }
    if group.is_ipv4() != source.is_ipv4() {
        return Err(Violation::new(
            "source",
            format!("{source} is not of the family of the group, {group}"),
        ));
    }
    Ok(SourceMembership {
        group,
        source,
        interface,
    })
}

/// A group and the interface it is to be heard at.
fn group_from_wire(
    group: &str,
    index: u32,
    address: &str,
    zones: Zones<'_>,
) -> Result<(IpAddr, MulticastInterface), Violation> {
    let (group, zone) =
        parse_host(group, Some(zones)).map_err(|violation| violation.within("group"))?;
    // The zone of a link-local group ("ff02::1%eth0") is the interface's index.
    let index = scope_id(zone, index).map_err(|violation| violation.within("interface_index"))?;
    let interface = interface_from_wire(index, address)?;
    if group.is_ipv6() && !interface.address.is_unspecified() {
        return Err(Violation::new(
            "interface_address",
            "is for IPv4 groups alone; give interface_index",
        ));
    }
    Ok((group, interface))
}

fn interface_from_wire(index: u32, address: &str) -> Result<MulticastInterface, Violation> {
    let address =
        ipv4_or_empty(address).map_err(|violation| violation.within("interface_address"))?;
    Ok(MulticastInterface { index, address })
}

fn empty_or_ipv4(address: Ipv4Addr) -> String {
    if address.is_unspecified() {
        String::new()
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::strategy;

    fn from_wire(value: Value) -> Result<OptionValue, Violation> {
        let wire = v1::OptionValue { value: Some(value) };
        OptionValue::from_wire(wire, &|name| (name == "eth0").then_some(7))
    }

    fn membership(group: &str, interface_index: u32, interface_address: &str) -> Value {
        Value::Membership(v1::Membership {
            group: group.to_owned(),
            interface_index,
            interface_address: interface_address.to_owned(),
        })
    }

    fn source_membership(group: &str, source: &str) -> Value {
        Value::SourceMembership(v1::SourceMembership {
            group: group.to_owned(),
            source: source.to_owned(),
            ..Default::default()
        })
    }

    fn linger(enabled: bool, seconds: i64, nanos: i32) -> Value {
        Value::Linger(v1::Linger {
            enabled,
            duration: Some(prost_types::Duration { seconds, nanos }),
        })
    }

    #[test]
    fn a_value_without_a_form_is_a_violation_of_itself() {
        let violation =
            OptionValue::from_wire(v1::OptionValue::default(), &|_| None).expect_err("is refused");
        assert_eq!(violation.field, "");
    }

    #[test]
    fn a_violation_names_the_field_that_is_wrong() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        for (value, field) in [
            (Value::Duration(negative), "duration"),
            (linger(true, -1, 0), "linger.duration"),
            (linger(true, 0, 1), "linger.duration"),
            (linger(true, 2_147_483_648, 0), "linger.duration"),
            (linger(false, 0, 1), "linger.duration"),
            (Value::Address(v1::Address::default()), "address"),
            (Value::Address(":80".into()), "address.text"),
            (membership("", 0, ""), "membership.group"),
            (membership("all-hosts", 0, ""), "membership.group"),
            (
                membership("ff02::1", 0, "127.0.0.1"),
                "membership.interface_address",
            ),
            (
                membership("239.1.1.1", 0, "lo"),
                "membership.interface_address",
            ),
            (
                membership("ff02::1%eth0", 8, ""),
                "membership.interface_index",
            ),
            (
                source_membership("239.1.1.1", ""),
                "source_membership.source",
            ),
            (
                source_membership("239.1.1.1", "::1"),
                "source_membership.source",
            ),
            (
                source_membership("ff35::1", "fe80::1%eth0"),
                "source_membership.source",
            ),
            (
                Value::MulticastInterface(v1::MulticastInterface {
                    interface_index: 0,
                    interface_address: "::1".to_owned(),
                }),
                "multicast_interface.interface_address",
            ),
            (Value::TcpInfo(Box::default()), "tcp_info"),
        ] {
            assert_eq!(
                from_wire(value.clone()).expect_err("is refused").field,
                field,
                "{value:?}"
            );
        }
    }

    #[test]
    fn linger_without_a_duration_is_zero_and_off_is_off() {
        let enabled = Value::Linger(v1::Linger {
            enabled: true,
            duration: None,
        });
        assert_eq!(
            from_wire(enabled),
            Ok(OptionValue::Linger(Some(Duration::ZERO)))
        );
        assert_eq!(
            from_wire(linger(false, 5, 0)),
            Ok(OptionValue::Linger(None))
        );
    }

    #[test]
    fn the_zone_of_a_group_is_the_interface() {
        let expected = from_wire(membership("ff02::1", 7, "")).expect("is taken");
        assert_eq!(
            from_wire(membership("ff02::1%eth0", 0, "")),
            Ok(expected.clone())
        );
        assert_eq!(from_wire(membership("ff02::1%7", 7, "")), Ok(expected));
    }

    proptest! {
        #[test]
        fn every_value_survives_the_wire(value in strategy::option_value()) {
            let wire = v1::OptionValue::from(value.clone());
            prop_assert_eq!(OptionValue::from_wire(wire, &|_| None), Ok(value));
        }

        #[test]
        fn the_kind_is_the_number_of_the_form_on_the_wire_and_text_has_none(
            value in strategy::option_value(),
        ) {
            let kind = value.kind();
            // A field's key: its number, and three bits for its encoding.
            let number = v1::OptionValue::from(value).encode_to_vec()[0] >> 3;
            let of_text = 14;
            prop_assert_eq!(kind.map_or(of_text, |kind| kind as i32), i32::from(number));
        }

        #[test]
        fn from_wire_never_panics(wire in strategy::wire_option_value()) {
            if let Ok(value) = OptionValue::from_wire(wire, &|_| Some(1)) {
                let again = OptionValue::from_wire(value.clone().into(), &|_| None);
                prop_assert_eq!(again, Ok(value));
            }
        }
    }
}
