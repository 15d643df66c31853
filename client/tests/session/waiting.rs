//! Operations that are watched.

use std::time::{Duration, SystemTime};

use farsock_client::{Client, Error, Operation, UnixDatagram};

#[tokio::test]
async fn accept_is_waiting_now_connect() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let mut accept = Operation::new(listener.accept()).notify_waiting();
    assert!(accept.waiting().await);
    let near = client.tcp_stream(listener.local_addr()).await?;
    let (_far, peer) = (&mut accept).await?;
    assert_eq!(peer, near.local_addr().await?);
    let timing = accept.timing().expect("it ran");
    assert!(timing.waited > Duration::ZERO && timing.end - timing.start >= timing.waited);
    assert_eq!(timing.late, None);
    Ok(())
}

#[tokio::test]
async fn an_operation_that_need_not_wait_says_that_it_has_ended() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    near.send("there").await?;
    let mut receive = Operation::new(far.recv(8)).notify_waiting();
    assert!(!receive.waiting().await);
    assert!(!receive.waiting().await);
    assert_eq!(receive.await?, "there");
    Ok(())
}

#[tokio::test]
async fn an_operation_starts_at_its_time_and_tells_how_late_it_was() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let time = SystemTime::now() + Duration::from_millis(50);
    let mut send = Operation::new(near.send("then")).start_at(time);
    assert_eq!(send.timing(), None);
    assert_eq!((&mut send).await?, 4);
    let timing = send.timing().expect("it ran");
    assert!(timing.start_time >= time && timing.late.is_some());
    assert_eq!(far.recv(8).await?, "then");
    Ok(())
}

#[tokio::test]
async fn a_call_without_a_session_is_made_to_its_end() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let builder = Client::builder().unary(true);
    let client = builder.connect_with(daemon.connector()).await?;
    let mut create = Operation::new(client.tcp_socket()).notify_waiting();
    assert!(!create.waiting().await);
    (&mut create).await?.close().await?;
    assert_eq!(create.timing(), None);
    Ok(())
}

#[tokio::test]
async fn a_clients_timeout_counts_from_the_time_that_a_call_is_to_start_at() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let builder = Client::builder().timeout(Duration::from_secs(20));
    let client = builder.connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    // Beyond the timeout: were it counted from now on, the call would end with it.
    tokio::time::pause();
    let time = SystemTime::now() + Duration::from_secs(40);
    let mut send = Operation::new(near.send("later")).start_at(time);
    let waited = tokio::time::timeout(Duration::from_secs(30), &mut send).await;
    assert!(waited.is_err(), "{waited:?}");
    tokio::time::resume();
    drop(send);
    near.send("now").await?;
    assert_eq!(far.recv(8).await?, "now");
    Ok(())
}
