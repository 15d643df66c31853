//! Options whose values are more than a number: set by name through the daemon, they are what the same structure is when it is set
//! directly.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use farsock_client::{
    Client, Membership, MulticastInterface, OptionName, OptionValue, SocketOption, SourceMembership,
};

use super::{
    Twins,
    list::{IP, IPV6, SOCKET, TCP},
    option,
    value::{linger, timeval},
    with_client,
};
use crate::{call::Kind, kinds::*, outcome::Failure, remote};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x123);
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A kind of socket, an option by name, level and number, and one value by name and in bytes.
type Row = (Kind, &'static str, i32, i32, OptionValue, Vec<u8>);

#[test]
fn structures_read_back_as_if_set_directly() {
    let second = Duration::from_secs(1);
    let rows: &[Row] = &[
        (
            TCP4,
            "SO_LINGER",
            SOCKET,
            13,
            OptionValue::Linger(Some(7 * second)),
            linger(1, 7 * second),
        ),
        (
            TCP4,
            "SO_LINGER",
            SOCKET,
            13,
            OptionValue::Linger(None),
            linger(0, Duration::ZERO),
        ),
        (
            UDP4,
            "SO_RCVTIMEO",
            SOCKET,
            20,
            OptionValue::Duration(second / 4),
            timeval(second / 4),
        ),
        (
            UNIX_STREAM,
            "SO_SNDTIMEO",
            SOCKET,
            21,
            OptionValue::Duration(90 * second),
            timeval(90 * second),
        ),
        (
            UDP4,
            "SO_BINDTODEVICE",
            SOCKET,
            25,
            name("lo"),
            b"lo\0".to_vec(),
        ),
        (
            UDP4,
            "SO_BINDTODEVICE",
            SOCKET,
            25,
            name("no-such-device"),
            b"no-such-device\0".to_vec(),
        ),
        (
            TCP4,
            "TCP_CONGESTION",
            TCP,
            13,
            name("reno"),
            b"reno".to_vec(),
        ),
        (
            TCP4,
            "TCP_CONGESTION",
            TCP,
            13,
            name("no-such-control"),
            b"no-such-control".to_vec(),
        ),
        (
            UDP4,
            "IP_MULTICAST_IF",
            IP,
            32,
            interface(0, Ipv4Addr::LOCALHOST),
            vec![127, 0, 0, 1],
        ),
        (
            UDP4,
            "IP_OPTIONS",
            IP,
            4,
            OptionValue::Raw(vec![1, 1, 1, 0].into()),
            vec![1, 1, 1, 0],
        ),
    ];
    with_client(async |client| {
        for (kind, name, level, number, value, bytes) in rows {
            let twins = Twins::new(client, *kind).await;
            let direct = twins.set(*level, *number, bytes);
            let remote = twins.remote.set_option(option(name), value.clone()).await;
            let remote = remote.map_err(|error| remote::failure(&error));
            assert_eq!(direct, remote, "{name} = {value:?}");
            let (direct, remote) = twins.get(*level, *number, 64).await;
            assert_eq!(direct, remote, "{name} = {value:?}");
            twins.close().await;
        }
    });
}

/// A membership cannot be read; but whoever has it cannot join again.
#[test]
fn memberships_by_name_are_those_that_the_kernels_structures_say() {
    let by_address = MulticastInterface {
        index: 0,
        address: Ipv4Addr::LOCALHOST,
    };
    let by_index = MulticastInterface {
        index: 1,
        address: Ipv4Addr::UNSPECIFIED,
    };
    let membership =
        |group: IpAddr, interface| OptionValue::Membership(Membership { group, interface });
    let source = |interface| {
        OptionValue::SourceMembership(SourceMembership {
            group: GROUP.into(),
            source: SOURCE.into(),
            interface,
        })
    };
    let mreq = [GROUP.octets(), Ipv4Addr::LOCALHOST.octets()].concat();
    let mreq_source = [
        GROUP.octets(),
        Ipv4Addr::LOCALHOST.octets(),
        SOURCE.octets(),
    ]
    .concat();
    let mut mreq6 = GROUP6.octets().to_vec();
    mreq6.extend(1u32.to_ne_bytes());
    let rows = [
        (
            UDP4,
            "IP_ADD_MEMBERSHIP",
            membership(GROUP.into(), by_address),
            (IP, 35),
            mreq.clone(),
            "EADDRINUSE",
        ),
        (
            UDP4,
            "IP_ADD_MEMBERSHIP",
            membership(GROUP.into(), by_index),
            (IP, 35),
            mreq.clone(),
            "EADDRINUSE",
        ),
        (
            UDP4,
            "MCAST_JOIN_GROUP",
            membership(GROUP.into(), by_index),
            (IP, 35),
            mreq,
            "EADDRINUSE",
        ),
        (
            UDP4,
            "IP_ADD_SOURCE_MEMBERSHIP",
            source(by_address),
            (IP, 39),
            mreq_source.clone(),
            "EADDRNOTAVAIL",
        ),
        (
            UDP4,
            "MCAST_JOIN_SOURCE_GROUP",
            source(by_index),
            (IP, 39),
            mreq_source,
            "EADDRNOTAVAIL",
        ),
        (
            UDP6,
            "IPV6_ADD_MEMBERSHIP",
            membership(GROUP6.into(), by_index),
            (IPV6, 20),
            mreq6.clone(),
            "EADDRINUSE",
        ),
        (
            UDP6,
            "MCAST_JOIN_GROUP",
            membership(GROUP6.into(), by_index),
            (IPV6, 20),
            mreq6,
            "EADDRINUSE",
        ),
    ];
    with_client(async |client| {
        for (kind, name, value, (level, number), bytes, again) in rows {
            let socket = remote_socket(client, kind).await;
            socket
                .set_option(option(name), value.clone())
                .await
                .unwrap_or_else(|error| panic!("{name} = {value:?}: {error}"));
            let raw = OptionName::Raw { level, number };
            let error = socket.set_option(raw, OptionValue::Raw(bytes.into())).await;
            let error = error.expect_err("a membership is had once");
            assert_eq!(
                remote::failure(&error),
                Failure::Errno(again.to_owned()),
                "{name}"
            );
            socket.close().await.expect("the handle is open");
        }
    });
}

#[test]
fn a_filter_by_its_instructions_reads_back_and_filters() {
    // BPF_RET | BPF_K with 0: nothing passes.
    let drop_all = [6u16.to_ne_bytes().to_vec(), vec![0; 6]].concat();
    with_client(async |client| {
        let near = remote_socket(client, UDP4).await;
        let far = remote_socket(client, UDP4).await;
        let address = far
            .bind("127.0.0.1:0")
            .await
            .expect("the loopback has ports");
        let filter = OptionValue::Raw(drop_all.clone().into());
        far.set_option(SocketOption::SoAttachFilter, filter.clone())
            .await
            .expect("a filter of one instruction");
        near.send_to("dropped", address.clone())
            .await
            .expect("sent");
        let read = far
            .option(SocketOption::SoAttachFilter)
            .await
            .expect("read back");
        assert_eq!(read, filter);
        far.set_option(SocketOption::SoDetachFilter, OptionValue::Integer(0))
            .await
            .expect("there is one");
        near.send_to("passes", address).await.expect("sent");
        assert_eq!(far.recv(64).await.expect("received").data, "passes");
        let odd = OptionValue::Raw(vec![0; 7].into());
        let error = far.set_option(SocketOption::SoAttachFilter, odd).await;
        let error = error.expect_err("instructions have 8 bytes");
        assert_eq!(error.violations()[0].field, "value.raw");
    });
}

#[test]
fn o_nonblock_is_the_callers_and_reads_back() {
    with_client(async |client| {
        let socket = remote_socket(client, UDP4).await;
        let name = SocketOption::ONonblock;
        let read = async || socket.option(name).await.expect("it reads");
        assert_eq!(read().await, OptionValue::Flag(false));
        socket
            .set_option(name, OptionValue::Flag(true))
            .await
            .expect("it is set");
        assert_eq!(read().await, OptionValue::Flag(true));
        assert!(socket.info().await.expect("it is there").nonblocking);
        let error = socket.recv(1).await.expect_err("there is nothing");
        assert_eq!(error.errno_name(), Some("EAGAIN"));
    });
}

#[test]
fn values_as_text_are_those_of_the_options_kind() {
    let rows = [
        (TCP4, "SO_KEEPALIVE", "on", "flag"),
        (TCP4, "SO_LINGER", "7s", "linger"),
        (TCP4, "TCP_KEEPIDLE", "60s", "duration"),
        (TCP4, "TCP_CONGESTION", "reno", "name"),
        (UDP4, "SO_RCVTIMEO", "250ms", "duration"),
        (UDP4, "IP_TTL", "9", "integer"),
        (UDP4, "IP_ADD_MEMBERSHIP", "239.1.2.4 lo", "membership"),
        (UDP4, "IP_MULTICAST_IF", "127.0.0.1", "interface"),
        (UDP4, "IP_OPTIONS", "0x01010100", "raw"),
    ];
    with_client(async |client| {
        for (kind, name, text, what) in rows {
            let socket = remote_socket(client, kind).await;
            let value = OptionValue::Text(text.to_owned());
            socket
                .set_option(option(name), value)
                .await
                .unwrap_or_else(|error| panic!("{name} = {text}, a {what}: {error}"));
            let error = socket
                .set_option(option(name), OptionValue::Text("no such value".to_owned()))
                .await
                .expect_err("it makes no sense for any of these");
            assert!(
                error.code() != farsock_client::Code::Unknown,
                "{name}: {error}"
            );
        }
    });
}

async fn remote_socket(client: &Client, kind: Kind) -> farsock_client::RemoteSocket {
    let (domain, socket_type, protocol) = remote::named(kind);
    client
        .socket(domain, socket_type, protocol)
        .await
        .expect("such sockets exist")
}

fn name(text: &str) -> OptionValue {
    OptionValue::Name(text.to_owned())
}

fn interface(index: u32, address: Ipv4Addr) -> OptionValue {
    OptionValue::MulticastInterface(MulticastInterface { index, address })
}
