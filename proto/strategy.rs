//! Strategies for property tests: domain values, and wire messages right and wrong.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    address::{Address, RawAddress, UnixAddress, VsockAddress},
    message::{ControlMessage, Credentials, Rights},
    option::{Membership, MulticastInterface, OptionValue, SourceMembership},
    v1::{self, address::Form, control_message::Content, option_value::Value, unix_address::Name},
};

/// Every address that its rules allow.
pub(crate) fn address() -> BoxedStrategy<Address> {
    prop_oneof![
        any::<(Ipv4Addr, u16)>().prop_map(|address| Address::Ip(address.into())),
        (any::<Ipv6Addr>(), any::<u16>(), any::<u32>(), maybe_zero()).prop_map(
            |(ip, port, flow_info, scope_id)| {
                SocketAddrV6::new(ip, port, flow_info, scope_id).into()
            }
        ),
        unix_name("[^\0]{1,107}").prop_map(|path| UnixAddress::Path(path).into()),
        unix_name("(\0|\\PC){0,107}").prop_map(|name| UnixAddress::Abstract(name).into()),
        Just(Address::Unix(UnixAddress::Unnamed)),
        any::<(u32, u32)>().prop_map(|(cid, port)| VsockAddress { cid, port }.into()),
        (any::<u16>(), bytes(126))
            .prop_map(|(family, data)| Address::Raw(RawAddress { family, data })),
        Just(Address::Unspecified),
    ]
    .boxed()
}

/// Text that begins, ends or looks like an address, and any other.
pub(crate) fn address_like_text() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "(unix:|unix-abstract:|vsock:|raw:|unspecified|\\[)?[0-9a-f:.%\\[\\]]{0,40}(:[0-9]{0,6})?",
        "(vsock|raw):[0-9]{0,12}:[0-9a-f]{0,260}",
        (address(), any::<prop::sample::Index>(), any::<char>()).prop_map(
            |(address, place, other)| {
                let mut text: Vec<char> = address.to_string().chars().collect();
                if !text.is_empty() {
                    let place = place.index(text.len());
                    text[place] = other;
                }
                text.into_iter().collect()
            }
        ),
    ]
    .boxed()
}

/// Addresses of the wire, most of them wrong.
pub(crate) fn wire_address() -> BoxedStrategy<v1::Address> {
    let unix = prop_oneof![
        any::<String>().prop_map(Name::Path),
        any::<String>().prop_map(Name::Abstract),
        Just(Name::Unnamed(v1::UnnamedUnixAddress {})),
    ];
    let form = prop_oneof![
        (host(), any::<u32>(), maybe_zero(), maybe_zero()).prop_map(
            |(host, port, flow_info, scope_id)| {
                Form::Ip(v1::IpAddress {
                    host,
                    port: port % 70_000,
                    flow_info,
                    scope_id,
                })
            }
        ),
        prop::option::of(unix).prop_map(|name| Form::Unix(v1::UnixAddress { name })),
        any::<(u32, u32)>().prop_map(|(cid, port)| Form::Vsock(v1::VsockAddress { cid, port })),
        (0..70_000_u32, bytes(140))
            .prop_map(|(family, data)| Form::Raw(v1::RawAddress { family, data })),
        Just(Form::Unspecified(v1::UnspecifiedAddress {})),
        address_like_text().prop_map(Form::Text),
    ];
    prop::option::of(form)
        .prop_map(|form| v1::Address { form })
        .boxed()
}

/// Control messages that a request may carry.
pub(crate) fn sendable_control_message() -> BoxedStrategy<ControlMessage> {
    prop_oneof![
        any::<(u32, Ipv4Addr)>().prop_map(|(interface_index, local_address)| {
            ControlMessage::Ipv4PacketInfo {
                interface_index,
                local_address,
                destination: Ipv4Addr::UNSPECIFIED,
            }
        }),
        any::<(Ipv6Addr, u32)>().prop_map(|(address, interface_index)| {
            ControlMessage::Ipv6PacketInfo {
                address,
                interface_index,
            }
        }),
        (0..=255).prop_map(ControlMessage::Ttl),
        (-1..=255).prop_map(ControlMessage::HopLimit),
        (0..=255).prop_map(ControlMessage::TypeOfService),
        (-1..=255).prop_map(ControlMessage::TrafficClass),
        (1..=u16::MAX).prop_map(ControlMessage::SegmentSize),
        credentials().prop_map(ControlMessage::Credentials),
        prop::collection::vec(any::<u64>(), 0..=253).prop_map(|handles| {
            ControlMessage::Rights(Rights {
                handles,
                discarded: 0,
            })
        }),
        (any::<i32>(), any::<i32>(), bytes(200))
            .prop_map(|(level, kind, data)| ControlMessage::Raw { level, kind, data }),
    ]
    .boxed()
}

/// Control messages of the wire, most of them wrong.
pub(crate) fn wire_control_message() -> BoxedStrategy<v1::ControlMessage> {
    let content = prop_oneof![
        (any::<u32>(), host(), host()).prop_map(|(interface_index, local_address, destination)| {
            Content::Ipv4PacketInfo(v1::Ipv4PacketInfo {
                interface_index,
                local_address,
                destination,
            })
        }),
        (host(), maybe_zero()).prop_map(|(address, interface_index)| {
            Content::Ipv6PacketInfo(v1::Ipv6PacketInfo {
                address,
                interface_index,
            })
        }),
        any::<i32>().prop_map(Content::Ttl),
        any::<i32>().prop_map(Content::HopLimit),
        any::<i32>().prop_map(Content::TypeOfService),
        any::<i32>().prop_map(Content::TrafficClass),
        any::<u32>().prop_map(Content::SegmentSize),
        any::<(i64, i32)>().prop_map(|(seconds, nanos)| {
            Content::Timestamp(prost_types::Timestamp { seconds, nanos })
        }),
        wire_address().prop_map(Content::OriginalDestination),
        (prop::collection::vec(any::<u64>(), 0..300), 0..2_u32)
            .prop_map(|(handles, discarded)| Content::Rights(v1::Rights { handles, discarded })),
        (any::<i32>(), any::<i32>(), bytes(5_000)).prop_map(|(level, kind, data)| {
            Content::Raw(v1::RawControlMessage {
                level,
                r#type: kind,
                data,
            })
        }),
    ];
    prop::option::of(content)
        .prop_map(|content| v1::ControlMessage { content })
        .boxed()
}

/// Every value that its rules allow in a request.
pub(crate) fn option_value() -> BoxedStrategy<OptionValue> {
    prop_oneof![
        any::<bool>().prop_map(OptionValue::Flag),
        any::<i64>().prop_map(OptionValue::Integer),
        duration().prop_map(OptionValue::Duration),
        prop::option::of(0..=2_147_483_647_u64)
            .prop_map(|seconds| OptionValue::Linger(seconds.map(Duration::from_secs))),
        any::<String>().prop_map(OptionValue::Name),
        address().prop_map(OptionValue::Address),
        group().prop_map(|(group, _, interface)| {
            OptionValue::Membership(Membership { group, interface })
        }),
        group().prop_map(|(group, source, interface)| {
            OptionValue::SourceMembership(SourceMembership {
                group,
                source,
                interface,
            })
        }),
        multicast_interface().prop_map(OptionValue::MulticastInterface),
        credentials().prop_map(OptionValue::Credentials),
        any::<Vec<i64>>().prop_map(OptionValue::Integers),
        bytes(200).prop_map(OptionValue::Raw),
        any::<String>().prop_map(OptionValue::Text),
    ]
    .boxed()
}

/// Values of the wire, most of them wrong.
pub(crate) fn wire_option_value() -> BoxedStrategy<v1::OptionValue> {
    let wire_duration = || {
        any::<(i64, i32)>().prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos })
    };
    let value = prop_oneof![
        wire_duration().prop_map(Value::Duration),
        (any::<bool>(), prop::option::of(wire_duration()))
            .prop_map(|(enabled, duration)| Value::Linger(v1::Linger { enabled, duration })),
        wire_address().prop_map(Value::Address),
        (host(), maybe_zero(), host()).prop_map(|(group, interface_index, interface_address)| {
            Value::Membership(v1::Membership {
                group,
                interface_index,
                interface_address,
            })
        }),
        (host(), host(), maybe_zero()).prop_map(|(group, source, interface_index)| {
            Value::SourceMembership(v1::SourceMembership {
                group,
                source,
                interface_index,
                interface_address: String::new(),
            })
        }),
        (any::<u32>(), host()).prop_map(|(interface_index, interface_address)| {
            Value::MulticastInterface(v1::MulticastInterface {
                interface_index,
                interface_address,
            })
        }),
        Just(Value::TcpInfo(Box::default())),
        option_value().prop_map(|value| v1::OptionValue::from(value).value.expect("has a value")),
    ];
    prop::option::of(value)
        .prop_map(|value| v1::OptionValue { value })
        .boxed()
}

/// Every duration of the wire.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..315_576_000_000_u64, 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        any::<u64>().prop_map(Duration::from_nanos),
        (0..10_000_000_u64).prop_map(Duration::from_micros),
        (0..100_000_u64).prop_map(Duration::from_secs),
    ]
}

/// Every time of the wire.
pub(crate) fn system_time() -> impl Strategy<Value = SystemTime> {
    (-62_135_596_800..=253_402_300_799_i64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let start = if seconds < 0 {
            UNIX_EPOCH - whole
        } else {
            UNIX_EPOCH + whole
        };
        start + Duration::from_nanos(nanos.into())
    })
}

/// Numeric hosts with and without zones, and what is none.
fn host() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        any::<IpAddr>().prop_map(|ip| ip.to_string()),
        (any::<Ipv6Addr>(), "%([0-9]{1,12}|[a-z0-9]{0,16})")
            .prop_map(|(ip, zone)| format!("{ip}{zone}")),
        any::<SocketAddr>().prop_map(|address| address.to_string()),
        any::<String>(),
    ]
    .boxed()
}

/// A group, a source of its family, and an interface that the family allows.
fn group() -> BoxedStrategy<(IpAddr, IpAddr, MulticastInterface)> {
    prop_oneof![
        (any::<Ipv4Addr>(), any::<Ipv4Addr>(), multicast_interface())
            .prop_map(|(group, source, interface)| (group.into(), source.into(), interface)),
        any::<(Ipv6Addr, Ipv6Addr, u32)>().prop_map(|(group, source, index)| {
            let interface = MulticastInterface {
                index,
                address: Ipv4Addr::UNSPECIFIED,
            };
            (group.into(), source.into(), interface)
        }),
    ]
    .boxed()
}

fn multicast_interface() -> impl Strategy<Value = MulticastInterface> {
    (maybe_zero(), any::<Ipv4Addr>())
        .prop_map(|(index, address)| MulticastInterface { index, address })
}

fn credentials() -> impl Strategy<Value = Credentials> {
    any::<(i32, u32, u32)>().prop_map(|(pid, uid, gid)| Credentials { pid, uid, gid })
}

/// 0, which stands for none, as often as any other.
fn maybe_zero() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

fn bytes(longest: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=longest).prop_map(Bytes::from)
}

/// Text of a pattern that sockaddr_un can hold.
fn unix_name(pattern: &'static str) -> BoxedStrategy<String> {
    pattern
        .prop_map(|mut name| {
            while name.len() > 107 {
                name.pop();
            }
            name
        })
        .boxed()
}
