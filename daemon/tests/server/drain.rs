//! The shutdown: what it waits for, and what it does not.

use farsock_proto::v1::{self, socket_service_client::SocketServiceClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};

use tonic_types::StatusExt;

use crate::support::{PATIENCE, Serving, at, connect, health};

/// HTTP/2's preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn connections_that_say_nothing_do_not_hold_up_the_drain() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = PATIENCE * 10;
    let serving = Serving::start(config).await;
    let _mute = serving.raw().await;
    // Half a preface.
    let mut slow = serving.raw().await;
    slow.write_all(&HELLO[..7]).await.unwrap();
    // All of it, and not a word more: GOAWAY is never answered.
    let mut stopped = serving.raw().await;
    stopped.write_all(HELLO).await.unwrap();
    stopped.read_exact(&mut [0; 9]).await.unwrap();
    // Connections are accepted in their order, so this one comes after those.
    assert_eq!(health(serving.client().await).await.unwrap(), 1);

    serving.shutdown.drain();
    serving.ended().await;
}

#[tokio::test]
async fn who_watches_the_health_learns_of_the_drain_and_does_not_hold_it_up() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = PATIENCE * 10;
    let serving = Serving::start(config).await;
    let mut client = HealthClient::new(serving.client().await);
    let mut watch = client
        .watch(HealthCheckRequest {
            service: "farsock.v1.SocketService".to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);

    serving.shutdown.drain();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    assert!(watch.message().await.unwrap().is_none());
    serving.ended().await;
}

#[tokio::test]
async fn a_drain_has_an_end_though_a_call_has_none() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = std::time::Duration::from_millis(100);
    let serving = Serving::start(config).await;
    let mut client = ServerReflectionClient::new(serving.client().await);
    let _call = client
        .server_reflection_info(futures_util::stream::pending::<ServerReflectionRequest>())
        .await
        .unwrap();
    serving.shutdown.drain();
    serving.ended().await;
}

#[tokio::test]
async fn an_order_to_end_at_once_does_not_wait_for_calls() {
    let mut config = at("tcp://127.0.0.1:0");
    config.drain_timeout = PATIENCE * 10;
    let serving = Serving::start(config).await;
    let mut client = ServerReflectionClient::new(serving.client().await);
    let _call = client
        .server_reflection_info(futures_util::stream::pending::<ServerReflectionRequest>())
        .await
        .unwrap();
    serving.shutdown.now();
    serving.ended().await;
}

#[tokio::test]
async fn a_server_that_has_ended_is_not_reached() {
    let serving = Serving::tcp().await;
    let address = serving.addresses[0].clone();
    serving.shutdown.drain();
    serving.ended().await;
    let connected = timeout(PATIENCE, connect(&address)).await.unwrap();
    assert!(connected.is_err());
}

#[tokio::test]
async fn a_call_that_waits_is_told_of_the_drain() {
    let serving = Serving::tcp().await;
    let mut client = SocketServiceClient::new(serving.client().await);
    let created = client
        .create_socket(v1::CreateSocketRequest {
            domain_choice: Some(v1::create_socket_request::DomainChoice::Domain(
                v1::Domain::Inet.into(),
            )),
            type_choice: Some(v1::create_socket_request::TypeChoice::Type(
                v1::SocketType::Dgram.into(),
            )),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let handle = created.handle;
    let mut waiter = client.clone();
    let waiting = tokio::spawn(async move {
        waiter
            .recv(v1::RecvRequest {
                handle,
                ..Default::default()
            })
            .await
    });
    let waits = async {
        loop {
            let request = v1::GetSocketRequest { handle };
            let answer = client.get_socket(request).await.unwrap().into_inner();
            if answer.socket.unwrap().waiting_operations == 1 {
                return;
            }
        }
    };
    timeout(PATIENCE, waits).await.unwrap();

    serving.shutdown.drain();
    let ended = waiting.await.unwrap().unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unavailable);
    let details = ended.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "DRAINING");
    serving.ended().await;
}
