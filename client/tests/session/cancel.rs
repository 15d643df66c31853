//! Calls whose futures are dropped end, and lose nothing.

use std::{future::Future, task::Poll};

use farsock_client::{Client, Error, Operation, Reason, UnixDatagram, UnixStream};
use farsock_proto::v1::{self, operate_request::Message as Said, operation_result::Outcome};

use crate::fake::{Fake, attached};

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

/// How patient a call of that round is. Some have to have the time for a round trip, or nothing would ever be received.
fn patience(round: usize) -> usize {
    match round % 4 {
        0 => usize::MAX,
        _ => 1 + round % 23,
    }
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

/// What the client says next, but for acknowledgements.
async fn said(stream: &mut crate::fake::Attachment) -> Said {
    loop {
        match stream.hear().await {
            Said::Acknowledge(_) => {}
            said => return said,
        }
    }
}

fn give_back(request_id: u64) -> Said {
    Said::Cancel(v1::CancelOperation {
        request_id,
        give_back: true,
    })
}

fn received(data: &'static str) -> Outcome {
    Outcome::Recv(v1::RecvResponse {
        payload: Some(v1::recv_response::Payload::Data(data.into())),
        full_length: data.len() as u64,
        ..Default::default()
    })
}

#[tokio::test]
async fn what_a_dropped_call_took_is_given_back_before_the_next_call_begins() -> Result<(), Error> {
    let (fake, mut events) = Fake::new();
    let client = Client::connect_with(fake.connector()).await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let socket = std::sync::Arc::new(client.adopt(7));
    // One that is dropped before its result came, and one whose result came and was never looked at.
    assert!(impatiently(1, socket.recv(8)).await.is_none());
    assert_eq!(stream.hear_start().await, (1, 0));
    assert_eq!(said(&mut stream).await, give_back(1));
    let mut second = Box::pin(socket.recv(8));
    assert!(impatiently(1, &mut second).await.is_none());
    assert_eq!(stream.hear_start().await, (2, 0));
    stream.end(2, received("taken"));
    // The answer to a later message comes after it.
    let later = client.adopt(8);
    let asking = tokio::spawn(async move { later.info().await });
    assert_eq!(stream.hear_start().await, (3, 0));
    stream.end(3, Outcome::Error(v1::OperationError::default()));
    assert!(asking.await.expect("no panic").is_err());
    drop(second);
    let receiving = tokio::spawn({
        let socket = std::sync::Arc::clone(&socket);
        async move { socket.recv(8).await }
    });
    assert_eq!(said(&mut stream).await, give_back(2));
    let Said::Start(start) = said(&mut stream).await else {
        panic!("no start");
    };
    assert_eq!(start.request_id, 4);
    stream.end(4, received("late"));
    assert_eq!(receiving.await.expect("no panic")?.data, "late");

    // A broken connection may have lost the cancel: it is said again, before anything else.
    stream.fail(tonic::Status::unavailable("it breaks"));
    let mut stream = attached(&mut events).await;
    stream.know(&[1, 2, 4]);
    assert!(matches!(stream.hear().await, Said::Cancel(_)));
    assert!(matches!(stream.hear().await, Said::Cancel(_)));
    stream.end(1, received("before the cancel came"));
    for id in [1, 2] {
        stream.end(id, Outcome::Error(v1::OperationError::default()));
    }
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 3 {
        match stream.hear().await {
            Said::Acknowledge(results) => acknowledged.extend(results.request_ids),
            said => panic!("{said:?}"),
        }
    }
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, [1, 2, 4]);
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
        match impatiently(patience(round), far.recv(length)).await {
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
        if let Some(received) = impatiently(patience(round), far.recv_from(64)).await {
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
