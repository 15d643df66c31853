//! Connecting: what is wrong with the connection is told there, and the instance is settled.

use std::{io, sync::Arc, time::Duration};

use farsock_client::{Client, Code, Error, ErrorKind, Reason};
use farsock_proto::v1;

use crate::fake::{Fake, INSTANCE, answer, silence};

/// An address on which nobody listens any more.
fn deserted_port() -> io::Result<std::net::SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[tokio::test]
async fn a_daemon_is_reached_over_tcp_by_address_and_by_name() -> io::Result<()> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&fake).serve(connection));
        }
    });
    for host in ["127.0.0.1", "localhost"] {
        let client = Client::builder()
            .unary(true)
            .connect(&format!("tcp://{host}:{port}"))
            .await?;
        client.adopt(1).listen(None).await?;
        assert_eq!(calls.recv().await.expect("the call").method, "Listen");
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_daemon_is_reached_over_a_unix_socket() -> io::Result<()> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let path = std::env::temp_dir().join(format!("farsock-client-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path)?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&fake).serve(connection));
        }
    });
    let client = Client::builder()
        .unary(true)
        .connect(&format!("unix://{}", path.display()))
        .await;
    std::fs::remove_file(&path)?;
    client?.adopt(1).listen(None).await?;
    assert_eq!(calls.recv().await.expect("the call").method, "Listen");
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_is_unreachable() {
    let address = "unix:///nowhere/farsock.sock";
    let error = Client::connect(address).await.expect_err("nobody is there");
    assert_eq!(*error.kind(), ErrorKind::Unreachable);
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.io_kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains(address), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable() -> io::Result<()> {
    let address = format!("tcp://{}", deserted_port()?);
    let error = Client::connect(&address)
        .await
        .expect_err("nobody is there");
    assert_eq!(*error.kind(), ErrorKind::Unreachable);
    assert_eq!(error.io_kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&address), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_address_of_another_scheme_is_an_invalid_request() {
    let error = Client::connect("http://127.0.0.1:7600")
        .await
        .expect_err("no scheme of ours");
    assert_eq!(error.reason(), Some(Reason::InvalidRequest));
    assert_eq!(error.io_kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.violations()[0].field, "address");
    assert!(error.to_string().contains("tcp://HOST:PORT"), "{error}");
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_unreachable_after_the_connect_timeout() {
    // The other ends are kept open, and never read.
    let (keep, _kept) = tokio::sync::mpsc::unbounded_channel();
    let connector = move || {
        let (near, far) = tokio::io::duplex(1 << 16);
        let _ = keep.send(far);
        std::future::ready(Ok(near))
    };
    let error = Client::builder()
        .connect_timeout(Duration::from_millis(20))
        .connect_with(connector)
        .await
        .expect_err("nobody answers");
    assert_eq!(*error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_connector_that_fails_is_unreachable_with_its_error() {
    let connector = || {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "not for you");
        std::future::ready(Err::<tokio::io::DuplexStream, _>(error))
    };
    let error = Client::connect_with(connector)
        .await
        .expect_err("no connection");
    assert_eq!(error.io_kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("not for you"), "{error}");
}

#[tokio::test]
async fn every_call_carries_the_instance_that_was_found_at_connecting() -> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    client.adopt(1).listen(None).await?;
    let call = calls.recv().await.expect("the call");
    assert_eq!(call.header("farsock-instance"), Some(INSTANCE));
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_not_pinned_names_no_instance() -> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let builder = Client::builder().unary(true).pin_instance(false);
    let client = builder.connect_with(fake.connector()).await?;
    client.adopt(1).listen(None).await?;
    assert_eq!(
        calls
            .recv()
            .await
            .expect("the call")
            .header("farsock-instance"),
        None
    );
    Ok(())
}

#[tokio::test]
async fn a_client_of_a_known_instance_names_it() -> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let builder = Client::builder().unary(true).instance("another");
    let client = builder.connect_with(fake.connector()).await?;
    client.adopt(1).listen(None).await?;
    let call = calls.recv().await.expect("the call");
    assert_eq!(call.header("farsock-instance"), Some("another"));
    Ok(())
}

#[tokio::test]
async fn a_connection_that_breaks_ends_its_calls_and_the_next_call_connects_again()
-> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|call| match call.method.as_str() {
        "Accept" => silence(),
        _ => answer(v1::ListenResponse {}),
    });
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let waiting = tokio::spawn({
        let listener = client.adopt(1);
        async move { listener.accept().await }
    });
    assert_eq!(calls.recv().await.expect("the call").method, "Accept");

    fake.cut();
    let error = waiting
        .await
        .expect("no panic")
        .expect_err("the connection is cut");
    assert_eq!(*error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!((error.verb(), error.handle()), (Some("accept"), Some(1)));
    assert!(
        error.to_string().starts_with("accept on handle 1: "),
        "{error}"
    );

    client.adopt(1).listen(None).await?;
    assert_eq!(fake.connections(), 2);
    // The call that broke off was not made again.
    assert_eq!(calls.recv().await.expect("the call").method, "Listen");
    assert!(calls.try_recv().is_err());
    Ok(())
}
