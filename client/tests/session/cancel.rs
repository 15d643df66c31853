//! Calls whose futures are dropped end, and lose nothing.

use std::{future::Future, task::Poll};

use bytes::Bytes;
use farsock_client::{Client, Error, Operation, Reason, UnixDatagram, UnixStream};
use farsock_proto::v1::{self, operate_request::Message as Said, operation_result::Outcome};

use crate::fake::{Event, Fake, attached};

/// Polls the call a few times, and drops it unless it has ended.
async fn impatiently<T>(patience: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    for _ in 0..patience {
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn a_wait_that_is_dropped_is_cancelled_in_the_daemon() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let mut accept = Operation::new(listener.accept()).notify_waiting();
    assert!(accept.waiting().await);
    assert_eq!(listener.socket().info().await?.waiting_operations, 1);
    drop(accept);
    // The next accept takes its turn only when the dropped one has ended.
    let near = client.tcp_stream(listener.local_addr()).await?;
    let (_far, peer) = listener.accept().await?;
    assert_eq!(near.local_addr().await?, peer);
    assert_eq!(listener.socket().info().await?.waiting_operations, 0);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_came_for_a_dropped_accept_is_the_next_ones() -> Result<(), Error> {
    let (fake, mut events) = Fake::new();
    let client = Client::connect_with(fake.connector()).await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let listener = client.adopt(7);
    assert!(impatiently(1, listener.accept()).await.is_none());
    assert_eq!(stream.hear_start().await, (1, 0));
    let cancel = v1::CancelOperation {
        request_id: 1,
        give_back: false,
    };
    assert_eq!(stream.hear().await, Said::Cancel(cancel));
    let address = v1::Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 4000)));
    let accepting = tokio::spawn(async move { listener.accept().await });
    stream.end(
        1,
        Outcome::Accept(v1::AcceptResponse {
            handle: 9,
            peer_address: Some(address),
        }),
    );
    let (connection, peer) = accepting.await.expect("no panic")?;
    assert_eq!(connection.into_handle(), 9);
    assert_eq!(peer.to_string(), "127.0.0.1:4000");
    drop(client);
    // Nothing more was asked for.
    assert!(matches!(events.recv().await, Some(Event::Closed(_))));
    Ok(())
}

#[tokio::test]
async fn a_wait_that_was_cancelled_in_time_lets_the_next_one_ask() -> Result<(), Error> {
    let (fake, mut events) = Fake::new();
    let client = Client::connect_with(fake.connector()).await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let socket = client.adopt(7);
    assert!(impatiently(1, socket.recv(8)).await.is_none());
    assert_eq!(stream.hear_start().await, (1, 0));
    assert!(matches!(stream.hear().await, Said::Cancel(_)));
    let receiving = tokio::spawn(async move { socket.recv(8).await });
    stream.end(1, Outcome::Error(v1::OperationError::default()));
    let started = loop {
        match stream.hear().await {
            Said::Start(start) => break start.request_id,
            Said::Acknowledge(_) => {}
            said => panic!("{said:?}"),
        }
    };
    assert_eq!(started, 2);
    let payload = v1::recv_response::Payload::Data(Bytes::from_static(b"late"));
    stream.end(
        2,
        Outcome::Recv(v1::RecvResponse {
            payload: Some(payload),
            full_length: 4,
            ..Default::default()
        }),
    );
    assert_eq!(receiving.await.expect("no panic")?.data, "late");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_loses_no_byte_to_receives_that_are_dropped() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixStream::pair(&client).await?;
    let sent: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
    let sending = tokio::spawn({
        let sent = sent.clone();
        async move {
            for chunk in sent.chunks(1_000) {
                near.send(chunk.to_vec()).await?;
            }
            Ok::<_, Error>(near)
        }
    });
    let mut received = Vec::new();
    let mut dropped = 0;
    for round in 0_usize.. {
        if received.len() == sent.len() {
            break;
        }
        // Lengths differ, so that what comes back is taken in parts.
        let length = 1 + (round * 37) % 1_500;
        match impatiently(1 + round % 23, far.recv(length)).await {
            Some(data) => received.extend_from_slice(&data?),
            None => dropped += 1,
        }
    }
    sending.await.expect("no panic")?;
    assert!(received == sent, "every byte, in order");
    assert!(dropped > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_datagram_is_lost_to_receives_that_are_dropped() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let sending = tokio::spawn(async move {
        for number in 0..500_u32 {
            near.send(number.to_be_bytes().to_vec()).await?;
        }
        Ok::<_, Error>(near)
    });
    let mut next = 0_u32;
    for round in 0_usize.. {
        if next == 500 {
            break;
        }
        if let Some(received) = impatiently(1 + round % 23, far.recv_from(64)).await {
            assert_eq!(received?.0, next.to_be_bytes().as_slice());
            next += 1;
        }
    }
    sending.await.expect("no panic")?;
    Ok(())
}

/// The clock stands still as long as anything else is to be done, so that the timeout is over in the wait alone.
#[tokio::test(start_paused = true)]
async fn a_clients_timeout_cancels_and_loses_nothing() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let builder = Client::builder().timeout(std::time::Duration::from_millis(20));
    let client = builder.connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let error = far.recv(64).await.expect_err("nothing was sent");
    assert_eq!(*error.kind(), farsock_client::ErrorKind::DeadlineExceeded);
    near.send("now").await?;
    let options = farsock_client::RecvOptions {
        timeout: Some(std::time::Duration::from_secs(20)),
        ..Default::default()
    };
    assert_eq!(far.socket().recv_with(64, options).await?.data, "now");
    Ok(())
}

#[tokio::test]
async fn closing_a_socket_ends_the_calls_that_wait_on_it() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (_near, far) = UnixDatagram::pair(&client).await?;
    let other = client.adopt(far.socket().handle());
    let mut receive = Operation::new(other.recv(8)).notify_waiting();
    assert!(receive.waiting().await);
    far.close().await?;
    let error = receive.await.expect_err("it is closed");
    assert_eq!(error.reason(), Some(Reason::HandleClosed));
    Ok(())
}
