//! A socket has one stream, and then no calls; who may take it over, and what ends it.

use farsock_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::Channel;

use crate::support::{
    Stream, TRANSMISSIONS, channel, connected, credit, opening, reason, set, sockets,
};

fn recv(handle: u64) -> v1::RecvRequest {
    v1::RecvRequest {
        handle,
        ..Default::default()
    }
}

fn send(handle: u64) -> v1::SendRequest {
    v1::SendRequest {
        handle,
        payload: Some(v1::send_request::Payload::Data("x".into())),
        ..Default::default()
    }
}

#[tokio::test]
async fn while_a_stream_is_open_a_second_and_all_calls_are_refused_and_afterwards_not() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 5)).await.unwrap();
    let second = Stream::open(&channel, opening(handle, 5)).await;
    assert_eq!(reason(&second.err().unwrap()), "STREAM_IN_USE");
    let other = v1::OpenStream {
        stream_id: 7,
        ..opening(handle, 5)
    };
    let second = Stream::open(&channel, other).await;
    assert_eq!(reason(&second.err().unwrap()), "STREAM_IN_USE");
    for flags in [vec![], vec![v1::MessageFlag::Dontwait.into()]] {
        let request = v1::RecvRequest {
            flags: flags.clone(),
            ..recv(handle)
        };
        let refused = sockets(&channel).recv(request).await.unwrap_err();
        assert_eq!(reason(&refused), "STREAM_IN_USE");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        let request = v1::SendRequest {
            flags,
            ..send(handle)
        };
        let refused = sockets(&channel).send(request).await.unwrap_err();
        assert_eq!(reason(&refused), "STREAM_IN_USE");
    }

    peer.write_all(b"hello").await.unwrap();
    assert_eq!(stream.read(5).await, b"hello");
    stream.end();
    assert_eq!(stream.end_reason().await, None);
    // Not acknowledged: it could still be asked for.
    let refused = sockets(&channel).recv(recv(handle)).await.unwrap_err();
    assert_eq!(reason(&refused), "STREAM_IN_USE");
    let mut again = Stream::open(&channel, opening(handle, 5)).await.unwrap();
    assert_eq!(again.opened.receive_offset, 0);
    assert_eq!(again.read(5).await, b"hello");
    again.say(credit(5, 5));
    again.end();
    assert_eq!(again.end_reason().await, None);

    peer.write_all(b"world").await.unwrap();
    let received = sockets(&channel).recv(recv(handle)).await.unwrap();
    let payload = received.into_inner().payload;
    assert_eq!(
        payload,
        Some(v1::recv_response::Payload::Data("world".into()))
    );
    sockets(&channel).send(send(handle)).await.unwrap();
    assert_eq!(peer.read_u8().await.unwrap(), b'x');
    // Offsets count on.
    let third = Stream::open(&channel, opening(handle, 5)).await.unwrap();
    assert_eq!(third.opened.receive_offset, 5);
}

async fn waiting_operations(channel: &Channel, handle: u64) -> u32 {
    let report = v1::GetSocketRequest { handle };
    let report = sockets(channel).get_socket(report).await;
    let socket = report.expect("it is open").into_inner().socket;
    socket.expect("it is told").waiting_operations
}

#[tokio::test]
async fn a_stream_begins_with_what_a_dropped_receive_took() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    peer.write_all(b"hello").await.unwrap();
    let mut client = sockets(&channel);
    let all = v1::RecvRequest {
        flags: vec![v1::MessageFlag::Waitall.into()],
        ..recv(handle)
    };
    let ready = v1::PollRequest {
        entries: vec![v1::PollEntry {
            handle,
            events: vec![v1::PollEvent::In.into()],
        }],
        ..Default::default()
    };
    sockets(&channel).poll(ready).await.unwrap();
    let waiting = tokio::spawn(async move { client.recv(all).await });
    while waiting_operations(&channel, handle).await == 0 {}
    waiting.abort();
    while waiting_operations(&channel, handle).await > 0 {}
    peer.write_all(b" world").await.unwrap();
    let mut stream = Stream::open(&channel, opening(handle, 11)).await.unwrap();
    assert_eq!(stream.read(11).await, b"hello world");
}

#[tokio::test]
async fn a_stream_is_refused_while_a_receive_waits() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut client = sockets(&channel);
    let waiting = tokio::spawn(async move { client.recv(recv(handle)).await });
    while waiting_operations(&channel, handle).await == 0 {}
    let refused = Stream::open(&channel, opening(handle, 5)).await;
    assert_eq!(reason(&refused.err().unwrap()), "STREAM_IN_USE");
    peer.write_all(b"hello").await.unwrap();
    waiting.await.unwrap().unwrap();
    Stream::open(&channel, opening(handle, 5)).await.unwrap();
}

#[tokio::test]
async fn the_same_stream_id_takes_over_and_the_older_stream_ends() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let open = v1::OpenStream {
        stream_id: 7,
        ..opening(handle, 100)
    };
    let mut first = Stream::open(&channel, open).await.unwrap();
    peer.write_all(b"hello").await.unwrap();
    assert_eq!(first.read(5).await, b"hello");
    let refused = v1::OpenStream {
        received: Some(6),
        ..open
    };
    let refused = Stream::open(&channel, refused).await;
    assert_eq!(reason(&refused.err().unwrap()), "OFFSET_UNKNOWN");
    // A refused opening takes nothing over.
    first.send("still");
    let mut read = [0; 5];
    peer.read_exact(&mut read).await.unwrap();

    let open = v1::OpenStream {
        received: Some(2),
        ..open
    };
    let mut second = Stream::open(&channel, open).await.unwrap();
    assert_eq!(second.opened.receive_offset, 2);
    assert_eq!(second.opened.send_offset, 5);
    assert_eq!(first.end_reason().await.as_deref(), Some("STREAM_TAKEN"));
    assert_eq!(second.read(3).await, b"llo");
    peer.write_all(b"!").await.unwrap();
    assert_eq!(second.read(1).await, b"!");
}

#[tokio::test]
async fn close_ends_the_stream_and_tells_what_was_taken() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    stream.send("hello");
    let mut read = [0; 5];
    peer.read_exact(&mut read).await.unwrap();
    let close = v1::CloseRequest {
        handle,
        ..Default::default()
    };
    sockets(&channel).close(close).await.unwrap();
    stream.taken(5).await;
    assert_eq!(stream.end_reason().await.as_deref(), Some("HANDLE_CLOSED"));
    assert_eq!(peer.read(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn the_drain_ends_the_stream_and_is_not_held_up_by_it() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    let (reason, ()) = tokio::join!(stream.end_reason(), daemon.shutdown());
    assert_eq!(reason.as_deref(), Some("DRAINING"));
}

/// Waits until the socket has an error or an urgent byte to report.
async fn until(channel: &Channel, handle: u64, event: v1::PollEvent) {
    let request = v1::PollRequest {
        entries: vec![v1::PollEntry {
            handle,
            events: vec![event.into()],
        }],
        ..Default::default()
    };
    let ready = sockets(channel)
        .poll(request)
        .await
        .expect("an event")
        .into_inner();
    assert!(ready.ready[0].events.contains(&event.into()));
}

#[tokio::test]
async fn an_urgent_byte_is_received_beside_a_stream() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    let urgent = v1::RecvRequest {
        flags: vec![v1::MessageFlag::Oob.into()],
        ..recv(handle)
    };
    let none = sockets(&channel).recv(urgent.clone()).await.unwrap_err();
    assert_eq!(reason(&none), "EINVAL");
    socket2::SockRef::from(&peer)
        .send_out_of_band(b"ab!")
        .unwrap();
    until(&channel, handle, v1::PollEvent::Pri).await;
    let received = sockets(&channel).recv(urgent).await.unwrap().into_inner();
    let expected = v1::recv_response::Payload::Data("!".into());
    assert_eq!(received.payload, Some(expected));
    assert_eq!(stream.read(2).await, b"ab");
}

#[tokio::test]
async fn the_error_queue_is_received_beside_a_stream_and_by_every_call() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    set(
        &channel,
        handle,
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPING),
        TRANSMISSIONS,
    )
    .await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    let mut buffer = [0; 1];
    for (number, byte) in [b"x", b"y", b"z"].into_iter().enumerate() {
        stream.send(&byte[..]);
        peer.read_exact(&mut buffer).await.unwrap();
        until(&channel, handle, v1::PollEvent::Err).await;
        let flags = vec![v1::MessageFlag::Errqueue.into()];
        match number {
            0 => {
                let request = v1::RecvRequest {
                    flags,
                    ..recv(handle)
                };
                sockets(&channel).recv(request).await.unwrap();
            }
            1 => {
                let request = v1::RecvFromRequest {
                    handle,
                    flags,
                    ..Default::default()
                };
                sockets(&channel).recv_from(request).await.unwrap();
            }
            _ => {
                let request = v1::RecvMessagesRequest {
                    handle,
                    flags,
                    control_length: Some(512),
                    ..Default::default()
                };
                let received = sockets(&channel).recv_messages(request).await.unwrap();
                let message = &received.into_inner().messages[0];
                assert!(message.flags.contains(&v1::MessageFlag::Errqueue.into()));
                assert_eq!(message.control.len(), 2);
            }
        }
    }
    let request = v1::RecvRequest {
        flags: vec![v1::MessageFlag::Errqueue.into()],
        ..recv(handle)
    };
    let empty = sockets(&channel).recv(request).await.unwrap_err();
    assert_eq!(reason(&empty), "EAGAIN");
    stream.taken(3).await;
}
