//! What goes wrong with datagrams: each failure is told once, in its place, and the flow goes on.

use std::net::UdpSocket as LocalSocket;

use farsock_client::{
    ControlMessage, Domain, Error, ErrorKind, OutgoingMessage, Protocol, Reason, RemoteSocket,
    SocketType, TcpListener, UnixDatagram,
};

use crate::{
    bytes::pair,
    datagrams::{all_of, bound, message, received},
    world::World,
};

/// Returns when the daemon has taken everything from the kernel that had arrived at the socket.
async fn until_taken(socket: &RemoteSocket) {
    while socket.info().await.unwrap().receive_queue != Some(0) {}
}

#[tokio::test]
async fn a_datagram_above_64_kib_or_to_nowhere_is_an_error_and_the_flow_goes_on() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    let mut batch = [1, 65_536, 65_537, 2]
        .map(|length| message(vec![7; length]))
        .into_iter();
    let error = near.send(&mut batch).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch[2].data: 65537 bytes are over 65536"
    );
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest { .. }));
    let nowhere = message("lost").to("nowhere at all");
    let error = near.send([nowhere]).await.unwrap_err();
    assert!(error.to_string().starts_with("batch[0].address"), "{error}");
    near.send(batch).await.unwrap();
    let lengths: Vec<usize> = received(&far, 3)
        .await
        .iter()
        .map(|message| message.data.len())
        .collect();
    assert_eq!(lengths, [1, 65_536, 2]);
    near.flush().await.unwrap();
}

/// What only the daemon can find invalid, with what is told of it.
fn invalid(n: usize) -> (OutgoingMessage, &'static str) {
    let lost = message("lost");
    match n % 5 {
        0 => (lost.control(ControlMessage::Ttl(256)), "control[0].ttl: "),
        1 => (
            lost.control(ControlMessage::Ttl(1))
                .control(ControlMessage::ReceiveSegmentSize(1)),
            "control[1].receive_segment_size: ",
        ),
        // SOL_SOCKET and SCM_RIGHTS.
        2 => (lost.control(raw(1, 1, 4)), "control[0].raw: "),
        3 => (
            (0..5).fold(lost, |lost, _| lost.control(raw(0, 0, 4_000))),
            "control: ",
        ),
        _ => (lost.to("[fe80::1%nowhere]:9"), "address.text: "),
    }
}

fn raw(level: i32, kind: i32, length: usize) -> ControlMessage {
    let data = vec![0; length].into();
    ControlMessage::Raw { level, kind, data }
}

#[tokio::test]
async fn what_the_daemon_finds_invalid_fails_alone_and_is_told_once_each() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    let count = 20;
    let batch = (0..count).flat_map(|n| [invalid(n).0, message(vec![u8::try_from(n).unwrap()])]);
    let batch: Vec<OutgoingMessage> = batch.collect();
    near.send(batch).await.unwrap();
    for (n, message) in (0..).zip(received(&far, count).await) {
        assert_eq!(message.data, vec![n]);
    }
    for n in 0..count {
        let error = near.flush().await.unwrap_err();
        let [violation] = error.violations() else {
            panic!("{error:?}");
        };
        let text = violation.to_string();
        assert!(text.starts_with(invalid(n).1), "{n}: {text}");
        let expected = format!("datagrams on handle {}: ", error.handle().unwrap());
        assert_eq!(error.to_string(), expected + &text);
    }
    near.flush().await.unwrap();
    near.send([message("and so on")]).await.unwrap();
    assert_eq!(received(&far, 1).await[0].data, "and so on");
}

#[tokio::test]
async fn what_the_kernel_refuses_is_told_once_each_and_the_rest_is_sent() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    // More failures than the daemon keeps unheard, between datagrams that go.
    let count = 1_500_u32;
    let nobody = format!("unix-abstract:farsock-nobody-{}", std::process::id());
    let mut batch = (0..count).flat_map(|n| {
        let lost = message("lost").to(nobody.as_str());
        [lost, message(n.to_le_bytes().to_vec())]
    });
    let told = |error: Error| assert_eq!(error.errno_name(), Some("ECONNREFUSED"), "{error}");
    let sending = async {
        let mut failures = 0;
        while let Err(error) = near.send(&mut batch).await {
            told(error);
            failures += 1;
        }
        while let Err(error) = near.flush().await {
            told(error);
            failures += 1;
        }
        failures
    };
    let all = received(&far, usize::try_from(count).unwrap());
    let (failures, all) = tokio::join!(sending, all);
    assert_eq!(failures, count);
    for (n, message) in (0..count).zip(all) {
        assert_eq!(message.data, n.to_le_bytes().to_vec());
    }
}

#[tokio::test]
async fn a_datagram_that_is_too_long_for_its_protocol_is_the_kernels_to_refuse() {
    let world = World::new().await;
    let (near, far) = (bound(&world.client).await, bound(&world.client).await);
    let there = far.local_addr().await.unwrap();
    let (near, far) = (all_of(near.socket()), all_of(far.socket()));
    let lengths = [65_507, 65_508, 1];
    let batch = lengths.map(|length| message(vec![7; length]).to(there));
    near.send(batch).await.unwrap();
    let both = received(&far, 2).await;
    assert_eq!((both[0].data.len(), both[1].data.len()), (65_507, 1));
    let error = near.flush().await.unwrap_err();
    assert_eq!(error.errno_name(), Some("EMSGSIZE"), "{error}");
    near.flush().await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_socket_comes_in_its_place_and_receiving_goes_on() {
    let world = World::new().await;
    let near = bound(&world.client).await;
    let here = near.local_addr().await.unwrap();
    // An address that nothing else uses, so that the port stays free between the two.
    let peer = LocalSocket::bind("127.0.77.1:0").unwrap();
    let there = peer.local_addr().unwrap();
    near.connect(there).await.unwrap();
    let datagrams = all_of(near.socket());
    for data in [b"1", b"2", b"3"] {
        peer.send_to(data, here).unwrap();
    }
    until_taken(near.socket()).await;
    drop(peer);
    datagrams
        .send([message("is anybody there?")])
        .await
        .unwrap();
    let before = received(&datagrams, 3).await;
    let before: Vec<&[u8]> = before.iter().map(|message| &message.data[..]).collect();
    assert_eq!(before, [b"1", b"2", b"3"]);
    let error = datagrams.recv().await.unwrap_err();
    assert_eq!(error.errno_name(), Some("ECONNREFUSED"), "{error}");

    let peer = LocalSocket::bind(there).unwrap();
    datagrams.send([message("and now?")]).await.unwrap();
    datagrams.flush().await.unwrap();
    let mut heard = [0; 10];
    let length = peer.recv(&mut heard).unwrap();
    assert_eq!(&heard[..length], b"and now?");
    peer.send_to(b"yes", here).unwrap();
    assert_eq!(received(&datagrams, 1).await[0].data, "yes");
}

#[tokio::test]
async fn sockets_without_datagrams_are_refused_with_the_reason() {
    let world = World::new().await;
    let (near, _far) = pair(&world.client).await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    for socket in [near.socket(), listener.socket()] {
        let datagrams = all_of(socket);
        // It waits here, as nothing was asked yet.
        datagrams.send([message("hello")]).await.unwrap();
        for error in [
            datagrams.flush().await.unwrap_err(),
            datagrams.recv().await.unwrap_err(),
            datagrams.send([message("hello")]).await.unwrap_err(),
        ] {
            let expected = "datagrams on handle ";
            assert!(error.to_string().starts_with(expected), "{error}");
            let [violation] = error.violations() else {
                panic!("{error:?}");
            };
            let what = "handle: carries a stream of bytes: open Stream";
            assert_eq!(violation.to_string(), what);
        }
    }
    // They are as they were before.
    let socket = near.into_socket();
    assert_eq!(socket.send("hello").await.unwrap(), 5);
}

#[tokio::test]
async fn a_listening_socket_of_messages_says_what_the_kernel_says() {
    let world = World::new().await;
    let kind = SocketType::Seqpacket;
    let listener = world
        .client
        .socket(Domain::Unix, kind, Protocol::Default)
        .await
        .unwrap();
    let name = format!("unix-abstract:farsock-datagrams-{}", std::process::id());
    listener.bind(name.as_str()).await.unwrap();
    listener.listen(1).await.unwrap();
    let datagrams = all_of(&listener);
    let error = datagrams.recv().await.unwrap_err();
    assert_eq!(error.errno_name(), Some("ENOTCONN"), "{error}");
    datagrams.send([message("hello")]).await.unwrap();
    let error = datagrams.flush().await.unwrap_err();
    assert_eq!(error.errno_name(), Some("ENOTCONN"), "{error}");
}

#[tokio::test]
async fn datagrams_have_a_socket_alone_until_they_are_dropped() {
    let world = World::new().await;
    let (near, far) = UnixDatagram::pair(&world.client).await.unwrap();
    let first = all_of(near.socket());
    first.send([message("1")]).await.unwrap();
    first.flush().await.unwrap();
    let second = all_of(near.socket());
    for error in [
        second.recv().await.unwrap_err(),
        second.send([message("lost")]).await.unwrap_err(),
        near.send("lost").await.unwrap_err(),
        near.recv(1).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), Some(Reason::StreamInUse), "{error}");
    }
    drop(second);
    first.send([message("2")]).await.unwrap();
    drop(first);
    // What was given is sent, and then the socket is free again.
    for expected in ["1", "2"] {
        assert_eq!(far.recv(10).await.unwrap(), expected);
    }
    while let Err(error) = near.send("3").await {
        assert_eq!(error.reason(), Some(Reason::StreamInUse), "{error}");
    }
    assert_eq!(far.recv(10).await.unwrap(), "3");
    let third = all_of(near.socket());
    far.send("4").await.unwrap();
    assert_eq!(received(&third, 1).await[0].data, "4");
}
