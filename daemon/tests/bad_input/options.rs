//! Options that are none, and values of the wrong kind.

use std::collections::BTreeMap;

use farsock_proto::v1::{
    GetOptionRequest, Integers, Linger, Membership, MulticastInterface, OptionKind, OptionValue,
    RawOption, SetOptionRequest, SocketOption, SourceMembership, get_option_request,
    host_service_client::HostServiceClient, option_value::Value, set_option_request,
};
use prost_types::Duration;
use tonic_types::StatusExt;

use crate::support::{channel, embedded, refused, udp};

fn set(handle: u64, option: i32, value: Option<Value>) -> SetOptionRequest {
    SetOptionRequest {
        handle,
        name: Some(set_option_request::Name::Option(option)),
        value: Some(OptionValue { value }),
    }
}

fn get(handle: u64, option: i32, length: Option<i32>) -> GetOptionRequest {
    GetOptionRequest {
        handle,
        name: Some(get_option_request::Name::Option(option)),
        length,
    }
}

#[tokio::test]
async fn options_that_are_none_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    for number in [0, 65, 99_999, -1, i32::MAX] {
        refused! { client;
            get_option(get(handle, number, None)) => "option";
            set_option(set(handle, number, Some(Value::Flag(true)))) => "option";
        }
    }
    let keepalive = SocketOption::SoKeepalive.into();
    refused! { client;
        get_option(GetOptionRequest { handle, ..Default::default() }) => "option";
        set_option(SetOptionRequest { handle, ..Default::default() }) => "option";
        set_option(SetOptionRequest { value: None, ..set(handle, keepalive, None) }) => "value";
        set_option(set(handle, keepalive, None)) => "value";
    }
    for length in [-1, 65_537, i32::MIN, i32::MAX] {
        let raw = GetOptionRequest {
            handle,
            name: Some(get_option_request::Name::RawOption(RawOption {
                level: 1,
                number: 2,
            })),
            length: Some(length),
        };
        refused! { client;
            get_option(get(handle, SocketOption::IpOptions.into(), Some(length))) => "length";
            get_option(raw) => "length";
        }
    }
}

/// One value of each kind.
fn values() -> BTreeMap<i32, Value> {
    let group = "239.1.2.3".to_owned();
    let membership = Membership {
        group: group.clone(),
        ..Default::default()
    };
    let source = SourceMembership {
        group,
        source: "127.0.0.1".to_owned(),
        ..Default::default()
    };
    let kinds = [
        (OptionKind::Flag, Value::Flag(true)),
        (OptionKind::Integer, Value::Integer(1)),
        (
            OptionKind::Duration,
            Value::Duration(Duration {
                seconds: 1,
                nanos: 0,
            }),
        ),
        (OptionKind::Linger, Value::Linger(Linger::default())),
        (OptionKind::Name, Value::Name("lo".to_owned())),
        (OptionKind::Membership, Value::Membership(membership)),
        (
            OptionKind::SourceMembership,
            Value::SourceMembership(source),
        ),
        (
            OptionKind::MulticastInterface,
            Value::MulticastInterface(MulticastInterface::default()),
        ),
        (OptionKind::TcpInfo, Value::TcpInfo(Box::default())),
        (
            OptionKind::Integers,
            Value::Integers(Integers { values: vec![1] }),
        ),
        (OptionKind::Raw, Value::Raw(vec![0; 4].into())),
    ];
    kinds
        .into_iter()
        .map(|(kind, value)| (kind.into(), value))
        .collect()
}

#[tokio::test]
async fn a_value_of_another_kind_is_refused_for_every_option_and_the_right_kind_is_said() {
    let (daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    let host = HostServiceClient::new(channel(&daemon).await)
        .get_host(farsock_proto::v1::GetHostRequest {})
        .await
        .expect("it answers")
        .into_inner();
    assert!(host.options.len() >= 100);
    let values = values();
    for option in host.options {
        for (kind, value) in &values {
            // Filters are set by their instructions alone, and an int may be said as a flag where it is one by number.
            if *kind == option.kind {
                continue;
            }
            let request = set(handle, option.option, Some(value.clone()));
            let text = format!("{} = {value:?}", option.name);
            let status = client.set_option(request).await.expect_err(&text);
            assert_eq!(
                status.code(),
                tonic::Code::InvalidArgument,
                "{text}: {status:?}"
            );
            let info = status.get_details_error_info().expect("a refusal has one");
            if info.reason != "INVALID_REQUEST" {
                panic!("{text} reached the kernel: {status:?}");
            }
            let details = status
                .get_details_bad_request()
                .expect("the field is named");
            let violation = &details.field_violations[0];
            let right = OptionKind::try_from(option.kind).expect("a kind of the API");
            let right = right
                .as_str_name()
                .trim_start_matches("OPTION_KIND_")
                .to_lowercase();
            let refused = violation.field == "option" || violation.description.contains("only");
            assert!(
                refused || violation.description.contains(&right),
                "{text}: {} does not say {right}",
                violation.description
            );
        }
    }
}

#[tokio::test]
async fn values_out_of_their_range_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    let seconds = |seconds| Value::Duration(Duration { seconds, nanos: 0 });
    let linger = |seconds, nanos| {
        Value::Linger(Linger {
            enabled: true,
            duration: Some(Duration { seconds, nanos }),
        })
    };
    let rows = [
        (
            SocketOption::SoPriority,
            Value::Integer(1 << 31),
            "value.integer",
        ),
        (
            SocketOption::SoPriority,
            Value::Integer(i64::MAX),
            "value.integer",
        ),
        (
            SocketOption::SoPriority,
            Value::Integer(i64::MIN),
            "value.integer",
        ),
        (
            SocketOption::SoMark,
            Value::Integer(1 << 32),
            "value.integer",
        ),
        (SocketOption::SoRcvtimeo, seconds(-1), "value.duration"),
        (
            SocketOption::SoRcvtimeo,
            seconds(i64::MAX),
            "value.duration.seconds",
        ),
        (
            SocketOption::SoRcvtimeo,
            Value::Duration(Duration {
                seconds: 0,
                nanos: 1,
            }),
            "value.duration",
        ),
        (
            SocketOption::TcpKeepidle,
            seconds(1 << 31),
            "value.duration",
        ),
        (
            SocketOption::TcpKeepidle,
            Value::Duration(Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
            "value.duration",
        ),
        (
            SocketOption::SoLinger,
            linger(1, 1),
            "value.linger.duration",
        ),
        (
            SocketOption::SoLinger,
            linger(-1, 0),
            "value.linger.duration",
        ),
        (
            SocketOption::SoLinger,
            linger(1 << 31, 0),
            "value.linger.duration",
        ),
        (
            SocketOption::IpAddMembership,
            Value::Membership(Membership {
                group: "nobody".to_owned(),
                ..Default::default()
            }),
            "value.membership.group",
        ),
        (
            SocketOption::IpAddMembership,
            Value::Membership(Membership {
                group: "239.1.2.3".to_owned(),
                interface_address: "::1".to_owned(),
                ..Default::default()
            }),
            "value.membership.interface_address",
        ),
        (
            SocketOption::IpAddSourceMembership,
            Value::SourceMembership(SourceMembership {
                group: "239.1.2.3".to_owned(),
                source: String::new(),
                ..Default::default()
            }),
            "value.source_membership.source",
        ),
        (
            SocketOption::SoKeepalive,
            Value::Text("perhaps".to_owned()),
            "value.text",
        ),
        (
            SocketOption::SoPriority,
            Value::Text("1e3".to_owned()),
            "value.text",
        ),
        (
            SocketOption::SoRcvtimeo,
            Value::Text("soon".to_owned()),
            "value.text",
        ),
        (
            SocketOption::IpOptions,
            Value::Text("0x1".to_owned()),
            "value.text",
        ),
        (
            SocketOption::SoAttachFilter,
            Value::Raw(vec![0; 7].into()),
            "value.raw",
        ),
        (SocketOption::SoZerocopy, Value::Flag(true), "option"),
    ];
    for (option, value, field) in rows {
        refused! { client; set_option(set(handle, option.into(), Some(value))) => field; }
    }
}

/// Their values would be descriptors or pointers of the daemon's.
#[tokio::test]
async fn options_by_number_that_would_reach_into_the_daemon_are_refused() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    // SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF, SO_ZEROCOPY.
    for number in [50, 52, 60] {
        let request = SetOptionRequest {
            handle,
            name: Some(set_option_request::Name::RawOption(RawOption {
                level: 1,
                number,
            })),
            value: Some(OptionValue {
                value: Some(Value::Raw(vec![1, 0, 0, 0].into())),
            }),
        };
        refused! { client; set_option(request) => "raw_option"; }
    }
    // SO_PEERPIDFD.
    let request = GetOptionRequest {
        handle,
        name: Some(get_option_request::Name::RawOption(RawOption {
            level: 1,
            number: 77,
        })),
        length: None,
    };
    refused! { client; get_option(request) => "raw_option"; }
}
