//! The gRPC deadline over the wire.

use farsock_proto::v1::{self, send_request, socket_service_client::SocketServiceClient};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;
use tonic::{Code, Request, body::Body};
use tower::service_fn;

use crate::support::{PATIENCE, Serving};

#[tokio::test]
async fn the_daemon_ends_a_call_at_its_deadline_and_the_socket_stays_usable() {
    let serving = Serving::tcp().await;
    // A plain HTTP/2 client: tonic's own would end the call before the daemon does.
    let (sender, connection) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(serving.raw().await),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let channel = service_fn(move |mut request: http::Request<Body>| {
        let mut sender = sender.clone();
        let uri = format!("http://localhost{}", request.uri().path());
        *request.uri_mut() = uri.parse().expect("a URI");
        async move { sender.send_request(request).await }
    });
    let mut client = SocketServiceClient::new(channel);

    let pair = client
        .create_socket_pair(v1::CreateSocketPairRequest {
            domain_choice: Some(v1::create_socket_pair_request::DomainChoice::Domain(
                v1::Domain::Unix.into(),
            )),
            type_choice: Some(v1::create_socket_pair_request::TypeChoice::Type(
                v1::SocketType::Dgram.into(),
            )),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let recv = v1::RecvRequest {
        handle: pair.first,
        ..Default::default()
    };
    let mut request = Request::new(recv.clone());
    request
        .metadata_mut()
        .insert("grpc-timeout", "20m".parse().unwrap());
    let ended = timeout(PATIENCE, client.recv(request)).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::DeadlineExceeded);

    let sent = client.send(v1::SendRequest {
        handle: pair.second,
        payload: Some(send_request::Payload::Data("still here".into())),
        ..Default::default()
    });
    sent.await.unwrap();
    let received = client.recv(recv).await.unwrap().into_inner();
    assert_eq!(received.full_length, 10);
}
