//! Several calls in one round trip.

use farsock_client::{
    Client, Domain, Error, ErrorKind, Protocol, Reason, SocketType, UnixDatagram,
};
use farsock_proto::v1::{self, operation_result::Outcome};

use crate::fake::{FIRST_HANDLE, Fake, attached};

#[tokio::test]
async fn a_listener_that_accepts_is_asked_for_before_anything_is_answered() -> Result<(), Error> {
    let (fake, mut events) = Fake::new();
    let client = Client::connect_with(fake.connector()).await?;
    let setting_up = tokio::spawn(async move {
        let mut pipeline = client.pipeline();
        let (domain, kind) = (Domain::Inet, SocketType::Stream);
        let listener = pipeline.socket(domain, kind, Protocol::Tcp).await?;
        let bound = pipeline.then(listener.bind("127.0.0.1:0"));
        let listening = pipeline.then(listener.listen(None));
        let accepting = pipeline.then(listener.accept());
        let address = bound.await?;
        listening.await?;
        let (connection, _) = accepting.await?;
        Ok::<_, Error>((address, connection.into_handle(), listener.into_handle()))
    });
    let mut stream = attached(&mut events).await;
    // Nothing is answered: not even the attachment.
    for id in 1..=4 {
        assert_eq!(stream.hear_start().await, (id, id - 1));
    }
    stream.know(&[]);
    let address = v1::Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 4000)));
    stream.end(
        1,
        Outcome::CreateSocket(v1::CreateSocketResponse {
            handle: FIRST_HANDLE,
        }),
    );
    stream.end(
        2,
        Outcome::Bind(v1::BindResponse {
            local_address: Some(address.clone()),
        }),
    );
    stream.end(3, Outcome::Listen(v1::ListenResponse {}));
    stream.end(
        4,
        Outcome::Accept(v1::AcceptResponse {
            handle: 9,
            peer_address: Some(address),
        }),
    );
    let (address, connection, listener) = setting_up.await.expect("no panic")?;
    assert_eq!(address.to_string(), "127.0.0.1:4000");
    assert_eq!((connection, listener), (9, FIRST_HANDLE));
    Ok(())
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_says_why_at_its_first_step() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let mut pipeline = client.pipeline();
    let (domain, kind) = (Domain::Inet, SocketType::Stream);
    let socket = pipeline.socket(domain, kind, Protocol::Udp).await?;
    let bound = pipeline.then(socket.bind("127.0.0.1:0"));
    let listening = pipeline.then(socket.listen(None));
    let error = bound.await.expect_err("no TCP over UDP");
    assert_eq!(error.verb(), Some("socket"), "{error}");
    assert_eq!(error.errno_name(), Some("EPROTONOSUPPORT"));
    let error = listening.await.expect_err("there is no socket");
    assert_eq!(error.reason(), Some(Reason::DependencyFailed));
    Ok(())
}

#[tokio::test]
async fn a_step_that_fails_says_why_and_the_next_ones_do_not_start() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let taken = client.tcp_listener("127.0.0.1:0").await?;
    let error = client
        .tcp_listener(taken.local_addr())
        .await
        .expect_err("the port is taken");
    assert_eq!(error.errno_name(), Some("EADDRINUSE"));

    let mut pipeline = client.pipeline();
    let (domain, kind) = (Domain::Inet, SocketType::Stream);
    let socket = pipeline.socket(domain, kind, Protocol::Tcp).await?;
    let bound = pipeline.then(socket.bind(taken.local_addr()));
    let listening = pipeline.then(socket.listen(None));
    let error = listening.await.expect_err("it is not bound");
    assert_eq!(error.reason(), Some(Reason::DependencyFailed));
    assert!(bound.await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_pipeline_without_a_session_makes_its_steps_one_by_one() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let builder = Client::builder().unary(true);
    let client = builder.connect_with(daemon.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let near = client.tcp_stream(listener.local_addr()).await?;
    let (_far, peer) = listener.accept().await?;
    assert_eq!(near.local_addr().await?, peer);
    Ok(())
}

#[tokio::test]
async fn what_is_longer_than_the_daemon_reads_is_refused_alone() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let receiving = tokio::spawn(async move { far.recv(8).await });
    let mut pipeline = client.pipeline();
    let too_long = pipeline.then(near.send(vec![0; 5 << 20]));
    let behind = pipeline.then(near.send("behind"));
    let error = too_long.await.expect_err("5 MiB");
    assert!(
        matches!(error.kind(), ErrorKind::InvalidRequest { violations } if violations[0].field == "request"),
        "{error:?}"
    );
    let behind = behind.await.expect_err("it was to follow");
    assert_eq!(behind.reason(), Some(Reason::RequestUnknown), "{behind:?}");
    assert_eq!(near.send("on").await?, 2);
    assert_eq!(receiving.await.expect("no panic")?, "on");
    Ok(())
}

#[tokio::test]
async fn without_a_session_what_is_too_long_is_refused_as_well() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let builder = Client::builder().unary(true);
    let client = builder.connect_with(daemon.connector()).await?;
    let (near, _far) = UnixDatagram::pair(&client).await?;
    let error = near.send(vec![0; 5 << 20]).await.expect_err("5 MiB");
    assert!(
        matches!(error.kind(), ErrorKind::InvalidRequest { violations } if violations[0].field == "request"),
        "{error:?}"
    );
    Ok(())
}
