//! Datagrams in batches, through a daemon's sockets.

use std::net::UdpSocket as LocalSocket;

use farsock_client::{
    Bytes, Client, ControlMessage, Datagrams, DatagramsOptions, Domain, MessageFlags,
    OutgoingMessage, Protocol, Reason, ReceivedMessage, RemoteSocket, Rights, SocketOption,
    SocketType, UdpSocket, UnixDatagram,
};

use crate::world::World;

/// Room for all control messages that a test asks for.
const CONTROL: u32 = 256;

pub(crate) fn all_of(socket: &RemoteSocket) -> Datagrams {
    socket.datagrams(&DatagramsOptions::default())
}

pub(crate) async fn bound(client: &Client) -> UdpSocket {
    UdpSocket::bind(client, "127.0.0.1:0").await.unwrap()
}

/// The next so many datagrams.
pub(crate) async fn received(datagrams: &Datagrams, count: usize) -> Vec<ReceivedMessage> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(datagrams.recv().await.unwrap());
    }
    assert_eq!(all.len(), count);
    all
}

pub(crate) fn message(data: impl Into<Bytes>) -> OutgoingMessage {
    OutgoingMessage::new(data)
}

#[tokio::test]
async fn batches_pass_both_ways_with_their_bounds_and_addresses() {
    let world = World::new().await;
    let (near, far) = (bound(&world.client).await, bound(&world.client).await);
    let here = near.local_addr().await.unwrap();
    let there = far.local_addr().await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    for (one, other, from, to) in [(&near, &far, here, there), (&far, &near, there, here)] {
        let batch = (0..100_u8).map(|n| message(vec![n; n.into()]).to(to));
        one.send(batch).await.unwrap();
        for (n, message) in (0..100_u8).zip(received(other, 100).await) {
            assert_eq!(message.data, vec![n; n.into()]);
            assert_eq!(message.address.unwrap().as_ip(), Some(from));
            assert_eq!(message.full_length, u64::from(n));
            assert_eq!(message.flags, MessageFlags::NONE);
            assert_eq!(message.control, []);
            assert!(!message.end_of_stream);
        }
    }
}

#[tokio::test]
async fn what_is_longer_than_was_asked_for_is_cut_off_and_told_by_trunc() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let near = near.datagrams(&DatagramsOptions {
        length: Some(100),
        ..DatagramsOptions::default()
    });
    let far = all_of(far.socket());
    far.send([100, 101].map(|length| message(vec![7; length])))
        .await
        .unwrap();
    let both = received(&near, 2).await;
    assert_eq!(
        (&both[0].data[..], both[0].full_length),
        (&[7; 100][..], 100)
    );
    assert_eq!(
        (&both[1].data[..], both[1].full_length),
        (&[7; 100][..], 101)
    );
    assert_eq!(both[0].flags, MessageFlags::NONE);
    assert_eq!(both[1].flags, MessageFlags::TRUNC);
}

#[tokio::test]
async fn control_messages_travel_with_a_datagram() {
    let world = World::new().await;
    let (near, far) = (bound(&world.client).await, bound(&world.client).await);
    let there = far.local_addr().await.unwrap();
    let ttl = SocketOption::IpRecvttl;
    far.socket().set_option(ttl, true).await.unwrap();
    let near = all_of(near.socket());
    let hop = |ttl| message("hop").to(there).control(ControlMessage::Ttl(ttl));
    let with_room = far.datagrams(&DatagramsOptions {
        control_length: CONTROL,
        ..DatagramsOptions::default()
    });
    near.send([hop(7), hop(8)]).await.unwrap();
    let both = received(&with_room, 2).await;
    for (ttl, message) in [7, 8].into_iter().zip(both) {
        assert_eq!(message.control, [ControlMessage::Ttl(ttl)]);
        assert_eq!(message.flags, MessageFlags::NONE);
    }
}

#[tokio::test]
async fn control_messages_without_room_are_told_by_ctrunc() {
    let world = World::new().await;
    let (near, far) = (bound(&world.client).await, bound(&world.client).await);
    let there = far.local_addr().await.unwrap();
    let ttl = SocketOption::IpRecvttl;
    far.socket().set_option(ttl, true).await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    near.send([message("hop").to(there)]).await.unwrap();
    let one = received(&far, 1).await.remove(0);
    assert_eq!(one.control, []);
    assert_eq!(one.flags, MessageFlags::CTRUNC);
}

#[tokio::test]
async fn a_socket_travels_with_a_datagram_and_arrives_as_a_handle() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let traveller = bound(&world.client).await;
    let address = traveller.local_addr().await.unwrap();
    let near = near.datagrams(&DatagramsOptions {
        control_length: CONTROL,
        ..DatagramsOptions::default()
    });
    let far = all_of(far.socket());
    let rights = |handle| {
        let (handles, discarded) = (vec![handle], 0);
        message("take it").control(ControlMessage::Rights(Rights { handles, discarded }))
    };
    let handle = traveller.socket().handle();
    // The second one's handle does not exist, and the third is sent all the same.
    far.send([rights(handle), rights(u64::MAX), message("done")])
        .await
        .unwrap();
    let both = received(&near, 2).await;
    let [ControlMessage::Rights(arrived)] = &both[0].control[..] else {
        panic!("{both:?}");
    };
    let arrived = world.client.adopt(arrived.handles[0]);
    assert_ne!(arrived.handle(), handle);
    let name = arrived.socket_name().await.unwrap();
    assert_eq!(name.as_ip(), Some(address));
    assert_eq!(both[1].data, "done");
    let error = far.flush().await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::HandleNotFound), "{error}");
    far.flush().await.unwrap();
}

#[tokio::test]
async fn flush_returns_when_a_slow_receiver_has_made_room_for_the_last() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let near = all_of(near.socket());
    // More than a unix socket holds.
    near.send(vec![message(vec![7; 1_000]); 500]).await.unwrap();
    let receiving = async {
        for _ in 0..500 {
            assert_eq!(far.recv(2_000).await.unwrap().len(), 1_000);
        }
    };
    let (flushed, ()) = tokio::join!(near.flush(), receiving);
    flushed.unwrap();
}

#[tokio::test]
async fn datagrams_that_the_kernel_dropped_are_counted() {
    let world = World::new().await;
    let near = bound(&world.client).await;
    let here = near.local_addr().await.unwrap();
    let datagrams = all_of(near.socket());
    let peer = LocalSocket::bind("127.0.0.1:0").unwrap();
    // More than the window and the socket's buffer hold, as nobody takes any.
    let sent: u32 = 5_000;
    for n in 0..sent {
        let mut data = [0; 1_000];
        data[..4].copy_from_slice(&n.to_le_bytes());
        peer.send_to(&data, here).unwrap();
    }
    let mut count = 0;
    let mut last = None;
    while near.socket().info().await.unwrap().receive_queue != Some(0) {
        for message in datagrams.recv().await.unwrap() {
            let n = u32::from_le_bytes(message.data[..4].try_into().unwrap());
            assert!(last < Some(n), "{n} after {last:?}");
            last = Some(n);
            assert_eq!(message.control, []);
            count += 1;
        }
    }
    // There is room for one that tells the whole count.
    peer.send_to(b"last", here).unwrap();
    loop {
        let batch = datagrams.recv().await.unwrap();
        count += u32::try_from(batch.len()).unwrap();
        if batch.last().unwrap().data == "last" {
            break;
        }
    }
    assert!(count < sent, "nothing was dropped");
    assert_eq!(count + datagrams.dropped(), sent + 1);
}

#[tokio::test]
async fn the_end_of_a_seqpacket_connection_is_its_last_message() {
    let world = World::new().await;
    let (near, far) = world
        .client
        .socket_pair(Domain::Unix, SocketType::Seqpacket, Protocol::Default)
        .await
        .unwrap();
    let (near_flow, far_flow) = (all_of(&near), all_of(&far));
    far_flow.send(["one", "two"].map(message)).await.unwrap();
    far_flow.flush().await.unwrap();
    far.close().await.unwrap();
    let all = received(&near_flow, 3).await;
    let told: Vec<_> = all
        .iter()
        .map(|message| (&message.data[..], message.end_of_stream))
        .collect();
    let expected: [(&[u8], bool); 3] = [(b"one", false), (b"two", false), (b"", true)];
    assert_eq!(told, expected);
}
