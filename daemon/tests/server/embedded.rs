//! The daemon within a process.

use std::io;

use farsock_daemon::Embedded;
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncReadExt, time::timeout};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::support::{PATIENCE, health};

async fn client(daemon: &Embedded) -> Channel {
    let connect = daemon.connector();
    Endpoint::from_static("http://localhost")
        .connect_with_connector(service_fn(move |_| {
            let connecting = connect();
            async move { connecting.await.map(TokioIo::new) }
        }))
        .await
        .expect("it is served")
}

#[tokio::test]
async fn it_answers_over_its_connector() {
    let daemon = farsock_daemon::embedded();
    assert_eq!(health(client(&daemon).await).await.unwrap(), 1);
    assert_eq!(health(client(&daemon).await).await.unwrap(), 1);
}

#[tokio::test]
async fn after_its_shutdown_it_refuses_connections() {
    let daemon = farsock_daemon::embedded();
    let connect = daemon.connector();
    let channel = client(&daemon).await;
    assert_eq!(health(channel.clone()).await.unwrap(), 1);
    timeout(PATIENCE, daemon.shutdown()).await.unwrap();
    let refused = connect().await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(health(channel).await.is_err());
}

#[tokio::test]
async fn dropping_it_cuts_its_connections() {
    let daemon = farsock_daemon::embedded();
    let mut pipe = daemon.connector()().await.unwrap();
    drop(daemon);
    let read = timeout(PATIENCE, pipe.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}
