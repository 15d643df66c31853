//! Lists come in pages, and callers see none of it.

use farsock_client::{Client, Error};
use farsock_proto::v1;

use crate::fake::{Fake, answer};

fn socket(handle: u64) -> v1::Socket {
    v1::Socket {
        handle,
        create_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    }
}

#[tokio::test]
async fn sockets_of_all_pages_are_listed() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|call| {
        let request: v1::ListSocketsRequest = call.request();
        answer(match request.page_token.as_str() {
            "" => v1::ListSocketsResponse {
                sockets: vec![socket(1), socket(2)],
                next_page_token: "after 2".to_owned(),
            },
            "after 2" => v1::ListSocketsResponse {
                sockets: vec![socket(7)],
                next_page_token: String::new(),
            },
            other => panic!("a token that was not given: {other}"),
        })
    });
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let sockets = client.sockets().await?;
    let handles: Vec<_> = sockets.iter().map(|socket| socket.handle).collect();
    assert_eq!(handles, [1, 2, 7]);
    Ok(())
}

#[tokio::test]
async fn interfaces_of_all_pages_are_listed_with_their_addresses() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|call| {
        let request: v1::ListInterfacesRequest = call.request();
        let first = request.page_token.is_empty();
        let address = v1::InterfaceAddress {
            address: "192.0.2.1".to_owned(),
            prefix_length: 24,
            broadcast: "192.0.2.255".to_owned(),
        };
        answer(v1::ListInterfacesResponse {
            interfaces: vec![v1::Interface {
                index: if first { 1 } else { 2 },
                addresses: vec![address],
                ..Default::default()
            }],
            next_page_token: if first {
                "more".to_owned()
            } else {
                String::new()
            },
        })
    });
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let interfaces = client.interfaces().await?;
    assert_eq!(interfaces.len(), 2);
    assert_eq!(interfaces[1].index, 2);
    assert_eq!(interfaces[1].hardware_address, None);
    let address = interfaces[1].addresses[0];
    assert_eq!(address.address.to_string(), "192.0.2.1");
    assert_eq!(address.prefix_length, 24);
    assert_eq!(
        address.broadcast.map(|ip| ip.to_string()).as_deref(),
        Some("192.0.2.255")
    );
    Ok(())
}
