//! An error queue that fills while a stream is open: what comes goes on, and the entries are received beside it, or with it.

use farsock_proto::v1::{
    self, OpenDatagrams, control_message::Content, datagrams_response::Message as Hear,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::Channel;

use crate::{
    datagrams::{self, Datagrams, bound, to},
    support::{Stream, TRANSMISSIONS, channel, connected, credit, opening, reason, set, sockets},
};

const TIMESTAMPING: (i32, i32) = (libc::SOL_SOCKET, libc::SO_TIMESTAMPING);
/// SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE and _OPT_ID: each entry has its packet.
const WITH_PACKETS: i32 = (1 << 1) | (1 << 4) | (1 << 7);

/// The next entries of a handle's error queue, as far as they are there.
async fn entries(channel: &Channel, handle: u64) -> Vec<v1::ReceivedMessage> {
    let request = v1::RecvMessagesRequest {
        handle,
        max_messages: Some(16),
        control_length: Some(512),
        flags: vec![v1::MessageFlag::Errqueue.into()],
        ..Default::default()
    };
    match sockets(channel).recv_messages(request).await {
        Ok(received) => received.into_inner().messages,
        Err(status) => {
            assert_eq!(reason(&status), "EAGAIN");
            Vec::new()
        }
    }
}

/// The numbers of entries that tell of transmissions (SOF_TIMESTAMPING_OPT_ID).
fn numbers(entries: &[v1::ReceivedMessage]) -> Vec<u32> {
    let number = |entry: &v1::ReceivedMessage| {
        assert!(entry.flags.contains(&v1::MessageFlag::Errqueue.into()));
        let contents = entry.control.iter().filter_map(|one| one.content.as_ref());
        let error = contents.filter_map(|content| match content {
            Content::ExtendedError(error) => Some(error),
            _ => None,
        });
        let error = error.last().expect("what the entry says");
        assert_eq!(error.origin, 4, "a time stamp of a transmission");
        error.data
    };
    entries.iter().map(number).collect()
}

#[tokio::test]
async fn a_stream_of_bytes_goes_on_though_nobody_reads_the_error_queue() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    set(
        &channel,
        handle,
        (libc::SOL_SOCKET, libc::SO_RCVBUF),
        32 << 10,
    )
    .await;
    set(&channel, handle, TIMESTAMPING, WITH_PACKETS).await;
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    let mut buffer = [0; 100];
    for _ in 0..600 {
        stream.send(vec![7; buffer.len()]);
        peer.read_exact(&mut buffer).await.unwrap();
    }
    let mut receiving = 1 << 20;
    stream.say(credit(0, receiving));
    let writing = tokio::spawn(async move {
        peer.write_all(&vec![9; 3 << 20]).await.unwrap();
        peer
    });
    for _ in 0..3 {
        assert_eq!(stream.read(1 << 20).await, vec![9; 1 << 20]);
        stream.say(credit(receiving, receiving + (1 << 20)));
        receiving += 1 << 20;
    }
    writing.await.unwrap();
    let first = entries(&channel, handle).await;
    assert_eq!(numbers(&first)[..3], [99, 199, 299]);
}

#[tokio::test]
async fn datagrams_come_though_nobody_reads_the_error_queue_and_it_is_read_beside_them() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    set(&channel, handle, TIMESTAMPING, WITH_PACKETS).await;
    let mut stream = Datagrams::open(&channel, datagrams::opening(handle, 4 << 20))
        .await
        .unwrap();
    let here = peer.local_addr().unwrap().to_string();
    let mut buffer = [0; 1000];
    for _ in 0..400 {
        stream.send([to(&here, &[1; 500])]);
        assert_eq!(peer.recv(&mut buffer).await.unwrap(), 500);
    }
    for _ in 0..100 {
        for _ in 0..10 {
            peer.send_to(b"back", address).await.unwrap();
        }
        stream.received(10).await;
    }
    let mut all = Vec::new();
    loop {
        let some = numbers(&entries(&channel, handle).await);
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    assert_eq!(all, (0..400).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_of_the_error_queue_come_with_the_datagrams_if_asked_for() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    set(&channel, handle, TIMESTAMPING, TRANSMISSIONS).await;
    let open = OpenDatagrams {
        errors: true,
        ..datagrams::opening(handle, 1 << 20)
    };
    let mut stream = Datagrams::open(&channel, open).await.unwrap();
    let here = peer.local_addr().unwrap().to_string();
    let mut buffer = [0; 10];
    for number in 0..50 {
        stream.send([to(&here, b"there")]);
        assert_eq!(peer.recv(&mut buffer).await.unwrap(), 5);
        peer.send_to(b"back", address).await.unwrap();
        let both = stream.received(2).await;
        let (entries, datagrams): (Vec<_>, Vec<_>) = both
            .into_iter()
            .partition(|one| one.flags.contains(&v1::MessageFlag::Errqueue.into()));
        assert_eq!((numbers(&entries), datagrams.len()), (vec![number], 1));
    }
    assert_eq!(entries(&channel, handle).await, []);
}

#[tokio::test]
async fn an_error_that_an_icmp_message_brought_comes_as_an_error_and_as_an_entry() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _address, peer) = bound(&channel).await;
    set(&channel, handle, (libc::SOL_IP, libc::IP_RECVERR), 1).await;
    let there = peer.local_addr().unwrap().to_string();
    let connect = v1::ConnectRequest {
        handle,
        address: Some(v1::Address::from(there.as_str())),
        ..Default::default()
    };
    sockets(&channel).connect(connect).await.unwrap();
    drop(peer);
    let open = OpenDatagrams {
        errors: true,
        ..datagrams::opening(handle, 1 << 20)
    };
    let mut stream = Datagrams::open(&channel, open).await.unwrap();
    stream.send([v1::OutgoingMessage {
        payload: Some(v1::outgoing_message::Payload::Data("lost".into())),
        ..Default::default()
    }]);
    let (mut error, mut entry) = (None, None);
    while error.is_none() || entry.is_none() {
        match stream.next().await.unwrap() {
            Hear::Received(received) => {
                error = error.or(received.error);
                entry = entry.or(received.messages.into_iter().next());
                stream.credit(64, 1 << 20, 0);
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        crate::support::error_reason(&error.unwrap()),
        "ECONNREFUSED"
    );
    let Some(Content::ExtendedError(error)) = &entry.unwrap().control[0].content else {
        panic!("no error");
    };
    assert_eq!(
        (error.errno_name.as_str(), error.origin),
        ("ECONNREFUSED", 2)
    );
}

#[tokio::test]
async fn what_the_kernel_has_dropped_is_told_though_nothing_comes_after_it() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    set(&channel, handle, (libc::SOL_SOCKET, libc::SO_RCVBUF), 0).await;
    let mut stream = Datagrams::open(&channel, datagrams::opening(handle, 0))
        .await
        .unwrap();
    for _ in 0..100 {
        peer.send_to(&[3; 500], address).await.unwrap();
    }
    stream.credit(0, 4 << 20, 0);
    let mut came = 0;
    loop {
        if let Hear::Received(received) = stream.next().await.unwrap() {
            came += received.messages.len();
            if received.dropped > 0 {
                assert_eq!(came + received.dropped as usize, 100);
                break;
            }
        }
    }
    // Another opening hears of it as well.
    drop(stream);
    let mut again = Datagrams::again(&channel, datagrams::opening(handle, 4 << 20)).await;
    loop {
        if let Hear::Received(received) = again.next().await.unwrap()
            && received.dropped > 0
        {
            break;
        }
    }
}

#[tokio::test]
async fn the_size_of_datagrams_that_came_together_is_told_without_room_for_control_messages() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, _peer) = bound(&channel).await;
    let (sender, _, _) = bound(&channel).await;
    set(&channel, handle, (libc::SOL_UDP, libc::UDP_GRO), 1).await;
    set(&channel, sender, (libc::SOL_UDP, libc::UDP_SEGMENT), 100).await;
    let mut stream = Datagrams::open(&channel, datagrams::opening(handle, 1 << 20))
        .await
        .unwrap();
    let send = v1::SendToRequest {
        handle: sender,
        address: Some(v1::Address::from(address.to_string().as_str())),
        payload: Some(v1::send_to_request::Payload::Data(vec![5; 250].into())),
        ..Default::default()
    };
    sockets(&channel).send_to(send).await.unwrap();
    let one = stream.received(1).await.remove(0);
    assert_eq!(one.full_length, 250);
    let [
        v1::ControlMessage {
            content: Some(Content::ReceiveSegmentSize(100)),
        },
    ] = one.control[..]
    else {
        panic!("{one:?}");
    };
    assert!(one.flags.is_empty());
}
