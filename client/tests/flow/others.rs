//! Other people's protocols over remote connections: HTTP by hyper, TLS by rustls.

use std::{convert::Infallible, sync::Arc};

use farsock_client::{Bytes, TcpListener, TcpStream};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        pki_types::{PrivatePkcs8KeyDer, ServerName},
    },
};
use tokio_stream::StreamExt;

use crate::{
    bytes::{MIB, pair},
    pattern::Pattern,
    world::World,
};

#[tokio::test]
async fn hyper_serves_on_a_remote_listener_and_asks_over_a_remote_connection() {
    let world = World::new().await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    let address = listener.local_addr();
    let serving = tokio::spawn(async move {
        let mut connections = listener.incoming();
        while let Some(connection) = connections.next().await {
            let (stream, _) = connection.unwrap();
            tokio::spawn(
                server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(echo)),
            );
        }
    });
    for _ in 0..3 {
        let stream = TcpStream::connect(&world.client, address).await.unwrap();
        let (mut requests, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        for length in [0, 1, 1_000, 300_000] {
            let body = Bytes::from(Pattern::new(9).take(length));
            let request = Request::post("/echo")
                .header("host", "there")
                .body(Full::new(body.clone()));
            let response = requests.send_request(request.unwrap()).await.unwrap();
            assert_eq!(response.headers()["path"], "/echo");
            assert!(response.into_body().collect().await.unwrap().to_bytes() == body);
        }
        drop(requests);
        connection.await.unwrap().unwrap();
    }
    serving.abort();
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::builder()
        .header("path", path)
        .body(Full::new(body))
        .unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_goes_over_a_remote_connection_both_ways_and_ends_in_order() {
    let world = World::new().await;
    let (near, far) = pair(&world.client).await;
    let (connector, acceptor) = tls();
    let serving = tokio::spawn(async move {
        let mut far = acceptor.accept(far).await.unwrap();
        assert_eq!(Pattern::new(1).check(&mut far).await, MIB);
        far.write_all(b"all of it").await.unwrap();
        far.shutdown().await.unwrap();
    });
    let name = ServerName::try_from("there").unwrap();
    let mut near = connector.connect(name, near).await.unwrap();
    Pattern::new(1).write(&mut near, MIB).await;
    near.shutdown().await.unwrap();
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "all of it");
    serving.await.unwrap();
}

/// Both sides of TLS, with a certificate of their own.
fn tls() -> (TlsConnector, TlsAcceptor) {
    let own = rcgen::generate_simple_self_signed(["there".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let ring = || Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    (
        TlsConnector::from(Arc::new(client)),
        TlsAcceptor::from(Arc::new(server)),
    )
}
