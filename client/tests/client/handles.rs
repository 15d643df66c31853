//! Who closes what, and when.

use farsock_client::{Client, Domain, Error, ErrorKind, Protocol, SocketType};
use farsock_proto::v1;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::fake::{Call, Fake, answer};

/// A client whose sockets are all handle 5.
async fn client() -> Result<(Client, UnboundedReceiver<Call>), Error> {
    let (fake, calls) = Fake::new(|call| match call.method.as_str() {
        "CreateSocket" => answer(v1::CreateSocketResponse { handle: 5 }),
        "Accept" => answer(v1::AcceptResponse {
            handle: 6,
            peer_address: None,
        }),
        _ => answer(v1::CloseResponse {}),
    });
    Ok((
        Client::builder()
            .unary(true)
            .connect_with(fake.connector())
            .await?,
        calls,
    ))
}

/// The next call must be a close: of which handle, and how.
async fn next_close(calls: &mut UnboundedReceiver<Call>) -> (u64, bool) {
    let call = calls.recv().await.expect("the client lives");
    assert_eq!(call.method, "Close");
    let request: v1::CloseRequest = call.request();
    (request.handle, request.abort)
}

#[tokio::test]
async fn a_socket_that_is_dropped_is_closed() -> Result<(), Error> {
    let (client, mut calls) = client().await?;
    let socket = client.tcp_socket().await?;
    assert_eq!(calls.recv().await.expect("the call").method, "CreateSocket");
    drop(socket);
    assert_eq!(next_close(&mut calls).await, (5, false));
    Ok(())
}

#[tokio::test]
async fn a_socket_that_is_dropped_outside_of_the_runtime_is_closed() -> Result<(), Error> {
    let (client, mut calls) = client().await?;
    let socket = client.tcp_socket().await?;
    assert_eq!(calls.recv().await.expect("the call").method, "CreateSocket");
    std::thread::spawn(move || drop(socket))
        .join()
        .expect("no panic");
    assert_eq!(next_close(&mut calls).await, (5, false));
    Ok(())
}

#[tokio::test]
async fn closing_and_aborting_happen_once() -> Result<(), Error> {
    let (client, mut calls) = client().await?;
    client.tcp_socket().await?.close().await?;
    client.tcp_socket().await?.abort().await?;
    client.udp_socket().await?.close().await?;
    let mut closes = Vec::new();
    while let Ok(call) = calls.try_recv() {
        if call.method == "Close" {
            closes.push(call.request::<v1::CloseRequest>().abort);
        }
    }
    assert_eq!(closes, [false, true, false]);
    Ok(())
}

#[tokio::test]
async fn adopted_and_released_sockets_stay_open() -> Result<(), Error> {
    let (client, mut calls) = client().await?;
    drop(client.adopt(1));
    let handle = client.tcp_socket().await?.into_handle();
    assert_eq!(handle, 5);
    // Drops are closed in order by one runtime, so an earlier close would have come first.
    client.adopt(2).close().await?;
    assert_eq!(calls.recv().await.expect("the call").method, "CreateSocket");
    assert_eq!(next_close(&mut calls).await, (2, false));
    assert!(calls.try_recv().is_err());
    Ok(())
}

#[tokio::test]
async fn a_connection_whose_answer_makes_no_sense_is_closed() -> Result<(), Error> {
    let (client, mut calls) = client().await?;
    let error = client.adopt(1).accept().await.expect_err("no peer address");
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse { .. }));
    assert_eq!(calls.recv().await.expect("the call").method, "Accept");
    assert_eq!(next_close(&mut calls).await, (6, false));
    Ok(())
}

#[tokio::test]
async fn kinds_with_a_name_are_asked_for_by_name_and_others_by_number() -> Result<(), Error> {
    use v1::create_socket_request::{DomainChoice, ProtocolChoice, TypeChoice};

    let (client, mut calls) = client().await?;
    let kinds = [
        (Domain::Inet6, SocketType::Dgram, Protocol::Default),
        (Domain::Raw(44), SocketType::Other(10), Protocol::Other(47)),
    ];
    let choices = [
        (
            DomainChoice::Domain(3),
            TypeChoice::Type(2),
            ProtocolChoice::Protocol(0),
        ),
        (
            DomainChoice::RawDomain(44),
            TypeChoice::RawType(10),
            ProtocolChoice::RawProtocol(47),
        ),
    ];
    for ((domain, kind, protocol), (domain_choice, type_choice, protocol_choice)) in
        kinds.into_iter().zip(choices)
    {
        let _ = client.socket(domain, kind, protocol).await?.into_handle();
        let request: v1::CreateSocketRequest = calls.recv().await.expect("the call").request();
        assert_eq!(request.domain_choice, Some(domain_choice));
        assert_eq!(request.type_choice, Some(type_choice));
        assert_eq!(request.protocol_choice, Some(protocol_choice));
    }
    Ok(())
}
