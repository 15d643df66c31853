//! Creating, listening, accepting, shutting down, polling, listing.

use farsock_proto::v1::{
    AcceptRequest, ConnectRequest, CreateSocketPairRequest, CreateSocketRequest, GetSocketRequest,
    ListSocketsRequest, OptionSetting, OptionValue, PollEntry, PollRequest, RecvRequest,
    ShutdownRequest, SocketOption, SpliceRequest, create_socket_pair_request as pair,
    create_socket_request::{DomainChoice, ProtocolChoice, TypeChoice},
    option_setting, option_value,
};
use prost_types::Duration;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Client, embedded, refused, udp};

fn create(domain: i32, kind: i32, protocol: i32) -> CreateSocketRequest {
    CreateSocketRequest {
        domain_choice: Some(DomainChoice::Domain(domain)),
        type_choice: Some(TypeChoice::Type(kind)),
        protocol_choice: Some(ProtocolChoice::Protocol(protocol)),
        ..Default::default()
    }
}

fn create_pair(domain: i32, kind: i32, protocol: i32) -> CreateSocketPairRequest {
    CreateSocketPairRequest {
        domain_choice: Some(pair::DomainChoice::Domain(domain)),
        type_choice: Some(pair::TypeChoice::Type(kind)),
        protocol_choice: Some(pair::ProtocolChoice::Protocol(protocol)),
        ..Default::default()
    }
}

#[tokio::test]
async fn unknown_domains_types_and_protocols_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    for number in [99, -1, i32::MIN, i32::MAX] {
        refused! { client;
            create_socket(create(number, 1, 0)) => "domain";
            create_socket(create(2, number, 0)) => "type";
            create_socket(create(2, 1, number)) => "protocol";
            create_socket_pair(create_pair(number, 1, 0)) => "domain";
            create_socket_pair(create_pair(1, number, 0)) => "type";
            create_socket_pair(create_pair(1, 1, number)) => "protocol";
        }
    }
    refused! { client;
        create_socket(CreateSocketRequest::default()) => "domain";
        create_socket(create(0, 1, 0)) => "domain";
        create_socket(create(2, 0, 0)) => "type";
        create_socket(CreateSocketRequest { type_choice: None, ..create(2, 1, 0) }) => "type";
        create_socket_pair(CreateSocketPairRequest::default()) => "domain";
        create_socket_pair(create_pair(0, 1, 0)) => "domain";
        create_socket_pair(create_pair(1, 0, 0)) => "type";
    }
    // Zero is the usual protocol, and a number is the kernel's to judge.
    client
        .create_socket(create(2, 1, 0))
        .await
        .expect("an ordinary socket");
    let raw = CreateSocketRequest {
        domain_choice: Some(DomainChoice::RawDomain(i32::MAX)),
        ..create(2, 1, 0)
    };
    let status = client.create_socket(raw).await.expect_err("no such family");
    let info = status.get_details_error_info().expect("an error has one");
    assert_eq!(info.reason, "EAFNOSUPPORT");
}

#[tokio::test]
async fn a_create_socket_whose_third_option_fails_leaves_no_socket() {
    let (_daemon, mut client) = embedded().await;
    let flag = |option: SocketOption| OptionSetting {
        name: Some(option_setting::Name::Option(option.into())),
        value: Some(OptionValue {
            value: Some(option_value::Value::Flag(true)),
        }),
    };
    let with_options = |third: OptionSetting| CreateSocketRequest {
        options: vec![
            flag(SocketOption::SoReuseaddr),
            flag(SocketOption::SoKeepalive),
            third,
        ],
        ..create(2, 1, 0)
    };

    // The kernel says no: a stream has no UDP_CORK.
    let third = flag(SocketOption::UdpCork);
    let status = client
        .create_socket(with_options(third))
        .await
        .expect_err("a TCP socket has no such option");
    let info = status.get_details_error_info().expect("an error has one");
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("ENOPROTOOPT", "errno.farsock")
    );
    assert_eq!(info.metadata["syscall"], "setsockopt");

    // The daemon does: it is of another kind, unknown, without a name, without a value.
    let wrong = OptionSetting {
        value: Some(OptionValue {
            value: Some(option_value::Value::Integer(1)),
        }),
        ..flag(SocketOption::TcpCongestion)
    };
    let unknown = OptionSetting {
        name: Some(option_setting::Name::Option(999_999)),
        ..flag(SocketOption::SoDebug)
    };
    let nameless = OptionSetting {
        name: None,
        ..flag(SocketOption::SoDebug)
    };
    let valueless = OptionSetting {
        value: None,
        ..flag(SocketOption::SoDebug)
    };
    refused! { client;
        create_socket(with_options(wrong)) => "options[2].value";
        create_socket(with_options(unknown)) => "options[2].option";
        create_socket(with_options(nameless)) => "options[2].option";
        create_socket(with_options(valueless)) => "options[2].value";
        create_socket(CreateSocketRequest {
            options: vec![flag(SocketOption::SoReuseaddr); 257],
            ..create(2, 1, 0)
        }) => "options";
    }
    assert_eq!(list(&mut client).await, 0);

    // Nor a descriptor: far fewer are open than were tried, whatever other tests do meanwhile.
    let descriptors = || {
        std::fs::read_dir("/proc/self/fd")
            .expect("a process has one")
            .count()
    };
    let before = descriptors();
    for _ in 0..500 {
        let third = flag(SocketOption::UdpCork);
        client
            .create_socket(with_options(third))
            .await
            .expect_err("as before");
    }
    assert!(descriptors() < before + 250, "descriptors are left");
}

#[tokio::test]
async fn times_that_are_none_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    for (seconds, nanos, field) in [
        (-1, 0, "timeout"),
        (0, -1, "timeout"),
        (i64::MIN, 0, "timeout"),
        (0, 1_000_000_000, "timeout.nanos"),
        (0, i32::MAX, "timeout.nanos"),
        (i64::MAX, 0, "timeout.seconds"),
        (315_576_000_001, 0, "timeout.seconds"),
    ] {
        let timeout = Some(Duration { seconds, nanos });
        let address = Some(farsock_proto::v1::Address {
            form: Some(farsock_proto::v1::address::Form::Text(
                "127.0.0.1:9".to_owned(),
            )),
        });
        let entries = vec![PollEntry {
            handle,
            events: vec![1],
        }];
        refused! { client;
            accept(AcceptRequest { handle, timeout, ..Default::default() }) => field;
            connect(ConnectRequest { handle, address, timeout }) => field;
            recv(RecvRequest { handle, timeout, ..Default::default() }) => field;
            poll(PollRequest { entries, timeout }) => field;
            splice(SpliceRequest { first: handle, second: handle, timeout }) => field;
        }
    }
}

#[tokio::test]
async fn directions_events_and_pages_that_are_none_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    let entries = |count: usize, events: Vec<i32>| PollRequest {
        entries: vec![PollEntry { handle, events }; count],
        timeout: Some(Duration::default()),
    };
    for how in [0, 4, -1, i32::MAX] {
        refused! { client; shutdown(ShutdownRequest { handle, how }) => "how"; }
    }
    for event in [0, 8, -1, i32::MAX] {
        refused! { client;
            poll(entries(2, vec![1, event])) => "entries[0].events[1]";
        }
    }
    refused! { client;
        poll(PollRequest::default()) => "entries";
        poll(entries(1_025, vec![1])) => "entries";
    }
    client
        .poll(entries(1_024, vec![1]))
        .await
        .expect("as many as there may be");
    for page_size in [-1, 1_001, i32::MIN, i32::MAX] {
        refused! { client;
            list_sockets(ListSocketsRequest { page_size, ..Default::default() }) => "page_size";
        }
    }
    for token in ["x", "-1", "1 ", "18446744073709551616", "\0"] {
        let page_token = token.to_owned();
        refused! { client;
            list_sockets(ListSocketsRequest { page_token, ..Default::default() }) => "page_token";
        }
    }
}

#[tokio::test]
async fn pages_list_every_socket_once() {
    let (_daemon, mut client) = embedded().await;
    for _ in 0..25 {
        udp(&mut client).await;
    }
    let mut handles = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListSocketsRequest {
            page_size: 10,
            page_token,
        };
        let page = client
            .list_sockets(request)
            .await
            .expect("a page")
            .into_inner();
        assert!(page.sockets.len() <= 10);
        handles.extend(page.sockets.into_iter().map(|socket| socket.handle));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(handles, (1..=25).collect::<Vec<u64>>());
    let status = client
        .get_socket(GetSocketRequest { handle: 26 })
        .await
        .expect_err("it was never given out");
    assert_eq!(status.code(), Code::NotFound);
}

async fn list(client: &mut Client) -> usize {
    let sockets = client.list_sockets(ListSocketsRequest::default()).await;
    sockets.expect("it answers").into_inner().sockets.len()
}
