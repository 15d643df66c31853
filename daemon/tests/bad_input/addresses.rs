//! Addresses that are none.

use farsock_proto::v1::{
    self, Address, BindRequest, ConnectRequest, IpAddress, OutgoingMessage, RawAddress,
    SendMessagesRequest, SendToRequest, UnixAddress, UnnamedUnixAddress, address::Form,
    unix_address::Name,
};

use crate::support::{embedded, refused, socket, udp};

fn form(form: Form) -> Option<Address> {
    Some(Address { form: Some(form) })
}

fn ip(host: &str, port: u32, flow_info: u32, scope_id: u32) -> Option<Address> {
    form(Form::Ip(IpAddress {
        host: host.to_owned(),
        port,
        flow_info,
        scope_id,
    }))
}

fn unix(name: Option<Name>) -> Option<Address> {
    form(Form::Unix(UnixAddress { name }))
}

fn path(path: &str) -> Option<Address> {
    unix(Some(Name::Path(path.to_owned())))
}

fn raw(family: u32, length: usize) -> Option<Address> {
    form(Form::Raw(RawAddress {
        family,
        data: vec![0; length].into(),
    }))
}

fn text(text: &str) -> Option<Address> {
    form(Form::Text(text.to_owned()))
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_by_its_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    let long = "x".repeat(108);
    let rows = [
        (None, "address"),
        (Some(Address::default()), "address"),
        (ip("127.0.0.1", 65_536, 0, 0), "address.ip.port"),
        (ip("127.0.0.1", u32::MAX, 0, 0), "address.ip.port"),
        (ip("", 80, 0, 0), "address.ip.host"),
        (ip("localhost", 80, 0, 0), "address.ip.host"),
        (ip("127.0.0.256", 80, 0, 0), "address.ip.host"),
        (ip("127.1", 80, 0, 0), "address.ip.host"),
        (ip("[::1]", 80, 0, 0), "address.ip.host"),
        (ip("::1%", 80, 0, 0), "address.ip.host"),
        (ip("fe80::1%no-such-interface", 80, 0, 0), "address.ip.host"),
        (ip("127.0.0.1%lo", 80, 0, 0), "address.ip.host"),
        (ip("127.0.0.1\0", 80, 0, 0), "address.ip.host"),
        (ip("127.0.0.1", 80, 1, 0), "address.ip.flow_info"),
        (ip("127.0.0.1", 80, 0, 1), "address.ip.scope_id"),
        (unix(None), "address.unix"),
        (path(""), "address.unix.path"),
        (path(&long), "address.unix.path"),
        (path("/run/a\0b"), "address.unix.path"),
        (
            unix(Some(Name::Abstract(long.clone()))),
            "address.unix.abstract",
        ),
        (raw(65_536, 4), "address.raw.family"),
        (raw(u32::MAX, 4), "address.raw.family"),
        (raw(2, 127), "address.raw.data"),
        (raw(2, 100_000), "address.raw.data"),
        (text(""), "address.text"),
        (text("127.0.0.1"), "address.text"),
        (text("127.0.0.1:65536"), "address.text"),
        (text("127.0.0.1:-1"), "address.text"),
        (text("::1:80:"), "address.text"),
        (text("[fe80::1%no-such-interface]:80"), "address.text"),
        (text("localhost:80"), "address.text"),
        (text("vsock:3"), "address.text"),
        (text("vsock:x:1"), "address.text"),
        (text(&format!("unix:{long}")), "address.text"),
        (text("unix:/run/a\0b"), "address.text"),
        (text(&format!("unix-abstract:{long}")), "address.text"),
        (text("carrier-pigeon:7"), "address.text"),
    ];
    for (address, field) in rows {
        refused! { client;
            bind(BindRequest { handle, address: address.clone() }) => field;
            connect(ConnectRequest { handle, address: address.clone(), timeout: None }) => field;
        }
        if address.is_none() {
            // Absent is the socket's peer.
            continue;
        }
        refused! { client;
            send_to(SendToRequest { handle, address: address.clone(), ..Default::default() }) => field;
            send_messages(SendMessagesRequest {
                handle,
                messages: vec![
                    OutgoingMessage::default(),
                    OutgoingMessage { address: address.clone(), ..Default::default() },
                ],
                ..Default::default()
            }) => &format!("messages[1].{field}");
        }
    }
}

#[tokio::test]
async fn the_longest_of_each_is_not_refused() {
    let (_daemon, mut client) = embedded().await;
    let longest = "x".repeat(107);
    for address in [
        unix(Some(Name::Abstract(longest.clone()))),
        unix(Some(Name::Abstract("with\0nul".to_owned()))),
        unix(Some(Name::Unnamed(UnnamedUnixAddress {}))),
        path(&format!("/no/such/directory/{}", &longest[19..])),
    ] {
        let handle = socket(&mut client, v1::Domain::Unix, v1::SocketType::Dgram).await;
        let bound = client.bind(BindRequest {
            handle,
            address: address.clone(),
        });
        if let Err(status) = bound.await {
            // The kernel's word, not the daemon's.
            assert!(
                status.message().starts_with("bind "),
                "{address:?}: {status:?}"
            );
            assert!(
                status.message().ends_with("No such file or directory"),
                "{status:?}"
            );
        }
    }
    let handle = udp(&mut client).await;
    let any = client.bind(BindRequest {
        handle,
        address: raw(2, 126),
    });
    any.await.expect("a long sockaddr_in is one");
}
