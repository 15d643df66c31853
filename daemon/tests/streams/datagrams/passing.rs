//! What passes: whole datagrams within the credit, the end of a connection, and sockets.

use farsock_proto::v1::{self, OpenDatagrams, datagrams_response::Message as Hear};
use tokio::time::timeout;

use super::{Datagrams, bound, data, opening, to};
use crate::support::{PATIENCE, channel, error_reason, reason, socket, sockets};

#[tokio::test]
async fn datagrams_pass_both_ways_with_their_bounds_and_addresses() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    let mut stream = Datagrams::open(&channel, opening(handle, 1 << 20))
        .await
        .unwrap();
    let here = peer.local_addr().unwrap().to_string();
    stream.send((0..100u8).map(|n| to(&here, &vec![n; usize::from(n)])));
    let mut buffer = [0; 2_000];
    for n in 0..100u8 {
        let (length, from) = timeout(PATIENCE, peer.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (&buffer[..length], from),
            (&vec![n; usize::from(n)][..], address)
        );
    }
    for n in 0..100u8 {
        peer.send_to(&vec![n; usize::from(n)], address)
            .await
            .unwrap();
    }
    for (n, message) in (0..100u8).zip(stream.received(100).await) {
        assert_eq!(data(&message), vec![n; usize::from(n)]);
        assert_eq!(message.control, []);
        let from = farsock_proto::address::Address::from_wire(message.address.unwrap(), &|_| None);
        assert_eq!(from.unwrap().to_string(), here);
    }
    let send = v1::SendRequest {
        handle,
        ..Default::default()
    };
    let refused = sockets(&channel).send(send).await.unwrap_err();
    assert_eq!(reason(&refused), "STREAM_IN_USE");
}

#[tokio::test]
async fn a_datagram_comes_only_when_the_whole_of_it_is_granted_and_again_until_it_is_acknowledged()
{
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    let open = OpenDatagrams {
        length: 100,
        ..opening(handle, 163)
    };
    let mut stream = Datagrams::open(&channel, open).await.unwrap();
    peer.send_to(b"first", address).await.unwrap();
    peer.send_to(&[7; 101], address).await.unwrap();
    // Nothing comes: 164 would be needed. The answer to what is sent is the next message.
    let here = peer.local_addr().unwrap().to_string();
    stream.send([to(&here, b"x")]);
    assert!(matches!(stream.next().await, Ok(Hear::Credit(credit)) if credit.taken == 65));
    stream.credit(0, 164, 0);
    assert_eq!(data(&stream.received(1).await[0]), b"first");
    stream.credit(0, 69 + 164, 0);
    let cut = stream.received(1).await.remove(0);
    assert_eq!(data(&cut), [7; 100]);
    assert_eq!(cut.full_length, 101);
    assert_eq!(cut.flags, [i32::from(v1::MessageFlag::Trunc)]);

    drop(stream);
    let mut again = Datagrams::again(&channel, opening(handle, 1 << 20)).await;
    assert_eq!(again.opened.send_offset, 65);
    let both = again.received(2).await;
    assert_eq!(data(&both[0]), b"first");
    assert_eq!(both[1], cut);
    again.credit(70, 1 << 20, 0);
    assert_eq!(again.end_reason().await, "OFFSET_UNKNOWN");
}

#[tokio::test]
async fn the_end_of_a_seqpacket_connection_is_one_last_message() {
    use v1::create_socket_pair_request::{DomainChoice, TypeChoice};
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Seqpacket.into())),
        ..Default::default()
    };
    let pair = sockets(&channel).create_socket_pair(request).await.unwrap();
    let pair = pair.into_inner();
    let mut near = Datagrams::open(&channel, opening(pair.first, 1 << 20))
        .await
        .unwrap();
    let far = Datagrams::open(&channel, opening(pair.second, 0))
        .await
        .unwrap();
    let message = |data: &'static [u8]| v1::OutgoingMessage {
        payload: Some(v1::outgoing_message::Payload::Data(data.into())),
        ..Default::default()
    };
    far.send([message(b"one"), message(b"two")]);
    let both = near.received(2).await;
    assert_eq!((data(&both[0]), data(&both[1])), (&b"one"[..], &b"two"[..]));
    let close = v1::CloseRequest {
        handle: pair.second,
        ..Default::default()
    };
    sockets(&channel).close(close).await.unwrap();
    let last = near.received(1).await;
    assert!(last[0].end_of_stream);
    near.credit(198, 1 << 20, 0);
    near.send([message(b"three")]);
    let (_, error) = near.send_failed().await;
    assert_eq!(error_reason(&error), "EPIPE");
}

#[tokio::test]
async fn an_empty_record_is_no_end_of_a_seqpacket_connection() {
    use v1::create_socket_pair_request::{DomainChoice, TypeChoice};
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    for (together, window) in [(true, 1 << 20), (false, 1 << 20), (true, 65_600)] {
        let request = v1::CreateSocketPairRequest {
            domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
            type_choice: Some(TypeChoice::Type(v1::SocketType::Seqpacket.into())),
            ..Default::default()
        };
        let pair = sockets(&channel).create_socket_pair(request).await.unwrap();
        let pair = pair.into_inner();
        let sent: [&'static [u8]; 6] = [b"", b"one", b"", b"", b"two", b""];
        let mut near = None;
        if !together {
            near = Some(
                Datagrams::open(&channel, opening(pair.first, window))
                    .await
                    .unwrap(),
            );
        }
        for data in sent {
            let send = v1::SendRequest {
                handle: pair.second,
                payload: Some(v1::send_request::Payload::Data(data.into())),
                ..Default::default()
            };
            sockets(&channel).send(send).await.unwrap();
        }
        let close = v1::CloseRequest {
            handle: pair.second,
            ..Default::default()
        };
        sockets(&channel).close(close).await.unwrap();
        let mut near = match near {
            Some(near) => near,
            None => Datagrams::open(&channel, opening(pair.first, window))
                .await
                .unwrap(),
        };
        let mut came = Vec::new();
        while came.len() <= sent.len() {
            match near.next().await.unwrap() {
                Hear::Received(received) => came.extend(received.messages),
                Hear::Credit(_) => {}
                other => panic!("{other:?}"),
            }
            let offset = came
                .iter()
                .map(|message| 64 + data(message).len() as u64)
                .sum();
            near.credit(offset, offset + window, 0);
        }
        let expected = sent.into_iter().map(|data| (data, false));
        let expected = expected.chain([(&b""[..], true)]);
        let came: Vec<_> = came
            .iter()
            .map(|message| (data(message), message.end_of_stream))
            .collect();
        assert_eq!(came, expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_socket_travels_with_a_datagram_and_becomes_a_handle() {
    use v1::{
        control_message::Content,
        create_socket_pair_request::{DomainChoice, TypeChoice},
    };
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Dgram.into())),
        ..Default::default()
    };
    let pair = sockets(&channel).create_socket_pair(request).await.unwrap();
    let pair = pair.into_inner();
    let traveller = socket(&channel, v1::SocketType::Stream).await;
    let open = OpenDatagrams {
        control_length: 1_000,
        ..opening(pair.first, 1 << 20)
    };
    let mut near = Datagrams::open(&channel, open).await.unwrap();
    let mut far = Datagrams::open(&channel, opening(pair.second, 0))
        .await
        .unwrap();
    let rights = |handle| v1::OutgoingMessage {
        control: vec![v1::ControlMessage {
            content: Some(Content::Rights(v1::Rights {
                handles: vec![handle],
                ..Default::default()
            })),
        }],
        ..Default::default()
    };
    far.send([rights(traveller), rights(traveller + 1_000)]);
    let message = near.received(1).await.remove(0);
    let Some(Content::Rights(received)) = &message.control[0].content else {
        panic!("{message:?}");
    };
    let report = v1::GetSocketRequest {
        handle: received.handles[0],
    };
    sockets(&channel).get_socket(report).await.unwrap();
    let (offset, error) = far.send_failed().await;
    assert_eq!(offset, 128);
    assert_eq!(error_reason(&error), "HANDLE_NOT_FOUND");
}

#[tokio::test]
async fn an_opening_that_was_delayed_is_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _address, _peer) = bound(&channel).await;
    let open = |attempt| OpenDatagrams {
        stream_id: 9,
        attempt,
        ..opening(handle, 1 << 20)
    };
    let _second = Datagrams::open(&channel, open(2)).await.unwrap();
    let refused = Datagrams::open(&channel, open(1)).await.err();
    assert_eq!(reason(&refused.unwrap()), "STREAM_TAKEN");
    Datagrams::open(&channel, open(3)).await.unwrap();
}
