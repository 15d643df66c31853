//! The types in tokio's shape.

use std::{net::Shutdown, time::Duration};

use farsock_client::{
    Address, AsHandle, Client, Error, SocketOption, TcpListener, TcpStream, UdpSocket, UnixAddress,
    UnixDatagram, UnixListener, UnixStream,
};

async fn client() -> Result<(Client, farsock_daemon::Embedded), Error> {
    let daemon = farsock_daemon::embedded();
    Ok((Client::connect_with(daemon.connector()).await?, daemon))
}

#[tokio::test]
async fn tcp_connects_talks_and_ends_over_both_families() -> Result<(), Error> {
    let (client, _daemon) = client().await?;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(&client, address).await?;
        let near = TcpStream::connect(&client, listener.local_addr()).await?;
        let (far, peer) = listener.accept().await?;
        assert_eq!(near.local_addr().await?, peer);
        assert_eq!(near.peer_addr().await?, listener.local_addr());
        near.set_nodelay(true).await?;
        assert!(near.nodelay().await? && !far.nodelay().await?);
        near.send("hello").await?;
        near.socket().shutdown(Shutdown::Write).await?;
        assert_eq!(far.recv(64).await?, "hello");
        assert_eq!(far.recv(64).await?, "");
        far.set_linger(Some(Duration::ZERO)).await?;
        far.close().await?;
        let error = near.recv(64).await.expect_err("it was reset");
        assert_eq!(error.errno_name(), Some("ECONNRESET"));
        let reuse = listener.socket().option(SocketOption::SoReuseaddr).await?;
        assert_eq!(reuse, true.into());
        assert_eq!(listener.as_handle(), listener.into_socket().handle());
    }
    Ok(())
}

#[tokio::test]
async fn udp_sends_to_and_receives_from() -> Result<(), Error> {
    let (client, _daemon) = client().await?;
    let far = UdpSocket::bind(&client, "127.0.0.1:0").await?;
    let near = UdpSocket::bind(&client, "127.0.0.1:0").await?;
    near.send_to("one", far.local_addr().await?).await?;
    let (data, sender) = far.recv_from(64).await?;
    assert_eq!((&*data, sender), (&b"one"[..], near.local_addr().await?));
    far.connect(sender).await?;
    assert_eq!(far.peer_addr().await?, sender);
    far.send("two").await?;
    assert_eq!(near.recv(64).await?, "two");
    Ok(())
}

#[tokio::test]
async fn unix_listens_in_the_abstract_namespace() -> Result<(), Error> {
    let (client, _daemon) = client().await?;
    let name = UnixAddress::Abstract(format!("farsock-{}", std::process::id()));
    let listener = UnixListener::bind(&client, Address::from(name.clone())).await?;
    assert_eq!(*listener.local_addr(), Address::Unix(name));
    let near = UnixStream::connect(&client, listener.local_addr().clone()).await?;
    let (far, peer) = listener.accept().await?;
    assert_eq!(peer, Address::Unix(UnixAddress::Unnamed));
    assert_eq!(near.peer_addr().await?, far.local_addr().await?);
    near.send("hello").await?;
    near.socket().shutdown(Shutdown::Write).await?;
    assert_eq!(far.recv(64).await?, "hello");
    assert_eq!(far.recv(64).await?, "");
    Ok(())
}

#[tokio::test]
async fn unix_datagrams_have_senders_if_these_have_names() -> Result<(), Error> {
    let (client, _daemon) = client().await?;
    let name = format!("unix-abstract:farsock-d-{}", std::process::id());
    let far = UnixDatagram::bind(&client, name.as_str()).await?;
    let near = UnixDatagram::unbound(&client).await?;
    near.send_to("one", far.local_addr().await?).await?;
    assert_eq!(far.recv_from(64).await?, ("one".into(), None));
    near.connect(name.as_str()).await?;
    near.send("two").await?;
    assert_eq!(far.recv(64).await?, "two");
    Ok(())
}

#[tokio::test]
async fn an_address_of_another_family_is_the_daemons_to_refuse() -> Result<(), Error> {
    let (client, _daemon) = client().await?;
    let error = TcpStream::connect(&client, "not an address").await;
    let error = error.expect_err("it is none");
    assert!(!error.violations().is_empty(), "{error}");
    Ok(())
}
