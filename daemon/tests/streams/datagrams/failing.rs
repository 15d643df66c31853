//! What fails: in the kernel, or because it breaks the rules.

use farsock_proto::v1::{self, OpenDatagrams, datagrams_response::Message as Hear};
use tokio::time::timeout;

use super::{Datagrams, bound, opening, to};
use crate::support::{PATIENCE, channel, error_reason, socket, sockets};

#[tokio::test]
async fn what_cannot_be_sent_is_told_until_it_was_heard_and_the_rest_is_sent() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _, peer) = bound(&channel).await;
    let mut stream = Datagrams::open(&channel, opening(handle, 0)).await.unwrap();
    let here = peer.local_addr().unwrap().to_string();
    stream.send([to(&here, b"1"), to(&here, &[0; 65_530]), to(&here, b"2")]);
    let mut buffer = [0; 10];
    for expected in [b"1", b"2"] {
        let (length, _) = timeout(PATIENCE, peer.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&buffer[..length], expected);
    }
    let end = 65 + 65_530 + 64;
    let failed = async |stream: &mut Datagrams| {
        let (offset, error) = stream.send_failed().await;
        (offset, error_reason(&error))
    };
    let (offset, error) = stream.send_failed().await;
    assert_eq!((offset, &*error_reason(&error)), (end, "EMSGSIZE"));
    let text = format!("sendmmsg 65530 bytes to {here} on handle {handle}: Message too long");
    assert_eq!(error.message, text);
    let open = OpenDatagrams {
        stream_id: 1,
        ..opening(handle, 0)
    };
    drop(stream);
    let mut again = Datagrams::again(&channel, open).await;
    assert_eq!(failed(&mut again).await, (end, "EMSGSIZE".to_owned()));
    again.credit(0, 0, end);
    again.send([to(&here, b"3")]);
    peer.recv_from(&mut buffer).await.unwrap();
    let mut third = Datagrams::open(&channel, open).await.unwrap();
    assert_eq!(again.end_reason().await, "STREAM_TAKEN");
    third.send([to(&here, b"4")]);
    assert!(matches!(third.next().await, Ok(Hear::Credit(_))));
}

#[tokio::test]
async fn control_messages_beyond_a_mebibyte_do_not_wait_and_their_datagrams_fail_alone() {
    use v1::{
        control_message::Content,
        create_socket_pair_request::{DomainChoice, TypeChoice},
    };
    // Each datagram has 16,000 bytes of them, so that 65 fit.
    const FIT: usize = 65;
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Dgram.into())),
        ..Default::default()
    };
    let pair = sockets(&channel).create_socket_pair(request).await.unwrap();
    let pair = pair.into_inner();
    let fill = v1::SendRequest {
        handle: pair.first,
        flags: vec![v1::MessageFlag::Dontwait.into()],
        ..Default::default()
    };
    let mut before = 0;
    while sockets(&channel).send(fill.clone()).await.is_ok() {
        before += 1;
    }

    let mut stream = Datagrams::open(&channel, opening(pair.first, 0))
        .await
        .unwrap();
    let content = |content| v1::ControlMessage {
        content: Some(content),
    };
    // A level that AF_UNIX knows nothing of, and steps over.
    let raw = |length: usize| {
        content(Content::Raw(v1::RawControlMessage {
            level: 12_345,
            r#type: 1,
            data: vec![0; length - 16].into(),
        }))
    };
    let with_control = |rights: bool| {
        let mut control = vec![raw(4_000), raw(4_000), raw(4_000), raw(3_976)];
        control.push(match rights {
            true => content(Content::Rights(v1::Rights {
                handles: vec![pair.second],
                ..Default::default()
            })),
            false => raw(24),
        });
        v1::OutgoingMessage {
            control,
            ..Default::default()
        }
    };
    stream.send((0..=FIT).map(|at| with_control(at % 2 == 0)));
    let receive = v1::RecvRequest {
        handle: pair.second,
        ..Default::default()
    };
    for _ in 0..before + FIT {
        sockets(&channel).recv(receive.clone()).await.unwrap();
    }
    let end = 64 * (FIT as u64 + 1);
    let (offset, error) = stream.send_failed().await;
    assert_eq!((offset, &*error_reason(&error)), (end, "QUOTA_EXCEEDED"));
    // There is room again.
    stream.send([with_control(true)]);
    sockets(&channel).recv(receive).await.unwrap();
    stream.taken(end + 64).await;
}

#[tokio::test]
async fn an_error_of_the_socket_comes_as_an_item_and_dropped_datagrams_are_counted() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    let mut stream = Datagrams::open(&channel, opening(handle, 0)).await.unwrap();
    // More than the socket's buffer holds; nothing is granted yet.
    for _ in 0..2_000 {
        peer.send_to(&[0; 1_000], address).await.unwrap();
    }
    stream.credit(0, 1 << 20, 0);
    let mut received = 0;
    let dropped = loop {
        match stream.next().await.unwrap() {
            Hear::Received(message) => {
                received += message.messages.len() as u64 * 1_064;
                stream.credit(received, received + (1 << 20), 0);
                assert!(message.messages.iter().all(|one| one.control.is_empty()));
                if message.dropped > 0 {
                    break message.dropped;
                }
                // The count comes with what arrives after the loss.
                peer.send_to(&[0; 1_000], address).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(dropped > 0);

    let (handle, _, peer) = bound(&channel).await;
    let connect = v1::ConnectRequest {
        handle,
        address: Some(v1::Address::from(&*peer.local_addr().unwrap().to_string())),
        ..Default::default()
    };
    sockets(&channel).connect(connect).await.unwrap();
    drop(peer);
    let mut stream = Datagrams::open(&channel, opening(handle, 1 << 20))
        .await
        .unwrap();
    stream.send([v1::OutgoingMessage::default()]);
    loop {
        match stream.next().await.unwrap() {
            Hear::Received(message) => {
                assert_eq!(error_reason(&message.error.unwrap()), "ECONNREFUSED");
                break;
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let stream = socket(&channel, v1::SocketType::Stream).await;
    let refused = Datagrams::open(&channel, opening(stream, 0))
        .await
        .err()
        .unwrap();
    assert!(refused.message().starts_with("handle: "), "{refused:?}");
    let (handle, _, peer) = bound(&channel).await;
    let open = OpenDatagrams {
        length: 65_537,
        ..opening(handle, 0)
    };
    let refused = Datagrams::open(&channel, open).await.err().unwrap();
    assert!(
        refused.message().starts_with("open.length: "),
        "{refused:?}"
    );

    let here = peer.local_addr().unwrap().to_string();
    for (messages, expected) in [
        (vec![], "INVALID_REQUEST"),
        (vec![to(&here, b""); 1_025], "INVALID_REQUEST"),
        (vec![to(&here, &[0; 60_000]); 18], "CREDIT_EXCEEDED"),
        // Invalid, and over credit all the same.
        (vec![to(&here, &[0; 70_000]); 16], "CREDIT_EXCEEDED"),
    ] {
        let mut stream = Datagrams::again(&channel, opening(handle, 0)).await;
        stream.send(messages);
        assert_eq!(stream.end_reason().await, expected);
    }
}
