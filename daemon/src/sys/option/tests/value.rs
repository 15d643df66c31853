//! Which values options take, as themselves and as text.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::fd::AsFd,
    time::Duration,
};

use bytes::Bytes;
use farsock_proto::{
    message::Credentials,
    option::{Membership, MulticastInterface, OptionValue, SourceMembership},
};

use super::{super::*, outcome, row, udp, violation};

#[test]
fn a_value_of_another_kind_is_a_violation_that_names_the_right_one() {
    let socket = udp();
    let interface = MulticastInterface {
        index: 0,
        address: Ipv4Addr::UNSPECIFIED,
    };
    let (group, source) = (
        Ipv4Addr::new(239, 1, 2, 3).into(),
        Ipv4Addr::LOCALHOST.into(),
    );
    let values = [
        OptionValue::Flag(true),
        OptionValue::Integer(1),
        OptionValue::Duration(Duration::from_secs(1)),
        OptionValue::Linger(None),
        OptionValue::Name("lo".into()),
        OptionValue::Membership(Membership { group, interface }),
        OptionValue::SourceMembership(SourceMembership {
            group,
            source,
            interface,
        }),
        OptionValue::MulticastInterface(interface),
        OptionValue::Credentials(Credentials {
            pid: 1,
            uid: 0,
            gid: 0,
        }),
        OptionValue::TcpInfo(Box::default()),
        OptionValue::Integers(vec![1]),
        OptionValue::Raw(Bytes::from_static(&[0])),
    ];
    for (_, row) in all().filter(|(_, row)| row.name != "SO_ZEROCOPY") {
        let mut refused = 0;
        for value in &values {
            let result = encode::encode(row, value);
            let Err(violation) = result else { continue };
            refused += 1;
            let readable_only = violation.field == "option";
            let names = violation
                .description
                .contains(&format!("takes `{}`", encode::member(row.kind())));
            assert!(
                readable_only || names || violation.field.starts_with("value."),
                "{violation}"
            );
        }
        assert!(
            refused >= values.len() - 1,
            "{} takes more than one kind",
            row.name
        );
    }
    let violation = violation(set(
        socket.as_fd(),
        row("SO_REUSEADDR"),
        &OptionValue::Integer(1),
    ));
    assert_eq!(
        violation.to_string(),
        "value: SO_REUSEADDR takes `flag`, not `integer`"
    );
}

#[test]
fn what_a_number_or_time_cannot_hold_is_a_violation() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let integer = OptionValue::Integer;
    let time = |nanos| OptionValue::Duration(Duration::from_nanos(nanos));
    for (name, value) in [
        ("SO_SNDBUF", integer(1 << 31)),
        ("SO_SNDBUF", integer(-(1 << 31) - 1)),
        ("SO_MARK", integer(-1)),
        ("SO_MARK", integer(1 << 32)),
        ("TCP_KEEPIDLE", time(1_500_000_000)),
        (
            "TCP_KEEPIDLE",
            OptionValue::Duration(Duration::from_secs(1 << 31)),
        ),
        ("TCP_USER_TIMEOUT", time(1_500_000)),
        ("SO_BUSY_POLL", time(1_500)),
        ("SO_RCVTIMEO", time(1_500)),
        ("SO_RCVTIMEO", OptionValue::Duration(Duration::MAX)),
        (
            "SO_LINGER",
            OptionValue::Linger(Some(Duration::from_millis(1_500))),
        ),
        (
            "SO_LINGER",
            OptionValue::Linger(Some(Duration::from_secs(1 << 31))),
        ),
        ("SO_PEERGROUPS", OptionValue::Integers(vec![1 << 32])),
        ("SO_PEERGROUPS", OptionValue::Integers(vec![0; MAX_LENGTH])),
        (
            "SO_TXTIME",
            OptionValue::Raw(vec![0; MAX_LENGTH + 1].into()),
        ),
        (
            "SO_BINDTODEVICE",
            OptionValue::Name("x".repeat(MAX_LENGTH + 1)),
        ),
    ] {
        let violation = violation(set(socket.as_fd(), row(name), &value));
        assert!(violation.field.starts_with("value."), "{name}: {violation}");
    }
    let error = violation(set(
        socket.as_fd(),
        row("TCP_KEEPIDLE"),
        &time(1_500_000_000),
    ));
    assert_eq!(
        error.to_string(),
        "value.duration: 1.5s is not 0-2147483647 whole seconds"
    );
}

#[test]
fn text_is_read_by_the_options_kind() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let text =
        |name: &str, text: &str| set(tcp.as_fd(), row(name), &OptionValue::Text(text.into()));
    let read = |name: &str| outcome(get(tcp.as_fd(), row(name), None)).unwrap();
    for (name, given, value) in [
        ("SO_KEEPALIVE", "on", OptionValue::Flag(true)),
        ("SO_KEEPALIVE", "off", OptionValue::Flag(false)),
        ("IP_TTL", "17", OptionValue::Integer(17)),
        ("IP_TTL", "0x20", OptionValue::Integer(32)),
        (
            "SO_RCVTIMEO",
            "2.5s",
            OptionValue::Duration(Duration::from_millis(2_500)),
        ),
        (
            "TCP_KEEPIDLE",
            "2m",
            OptionValue::Duration(Duration::from_secs(120)),
        ),
        (
            "TCP_USER_TIMEOUT",
            "300ms",
            OptionValue::Duration(Duration::from_millis(300)),
        ),
        (
            "SO_LINGER",
            "3s",
            OptionValue::Linger(Some(Duration::from_secs(3))),
        ),
        ("SO_LINGER", "off", OptionValue::Linger(None)),
        ("TCP_CONGESTION", "reno", OptionValue::Name("reno".into())),
        ("SO_MAX_PACING_RATE", "-1", OptionValue::Integer(-1)),
        (
            "SO_TXTIME",
            "0x0100000000000000",
            OptionValue::Raw(vec![1, 0, 0, 0, 0, 0, 0, 0].into()),
        ),
    ] {
        outcome(text(name, given)).unwrap();
        assert_eq!(read(name), value, "{name} {given}");
    }
    for (name, given) in [
        ("SO_KEEPALIVE", "maybe"),
        ("IP_TTL", "many"),
        ("IP_TTL", "4294967296"),
        ("SO_RCVTIMEO", "5"),
        ("TCP_KEEPIDLE", "1.5s"),
        ("SO_LINGER", "on"),
        ("IP_ADD_MEMBERSHIP", "239.1.2.3 lo lo"),
        ("IP_ADD_MEMBERSHIP", "239.1.2.3 no-such-interface"),
        ("IP_ADD_MEMBERSHIP", "ff02::1"),
        ("IP_ADD_SOURCE_MEMBERSHIP", "239.1.2.3"),
        ("IP_MULTICAST_IF", ""),
        ("SO_ATTACH_FILTER", "0600"),
    ] {
        assert_eq!(
            violation(text(name, given)).field,
            "value.text",
            "{name} {given}"
        );
    }
}
