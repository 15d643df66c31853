//! Datagrams both ways.

use std::net::SocketAddr;

use farsock_proto::v1::{
    self, DatagramsRequest, DatagramsResponse, OpenDatagrams, datagrams_request::Message as Say,
    datagrams_response::Message as Hear, stream_service_client::StreamServiceClient,
};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};
use tonic::{Status, Streaming, transport::Channel};

use crate::support::{PATIENCE, channel, error_reason, messages, reason, socket, sockets};

struct Datagrams {
    opened: v1::Opened,
    requests: mpsc::UnboundedSender<DatagramsRequest>,
    responses: Streaming<DatagramsResponse>,
}

impl Datagrams {
    async fn open(channel: &Channel, open: OpenDatagrams) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let client = StreamServiceClient::new(channel.clone());
        let mut client = client.max_decoding_message_size(8 << 20);
        let first = DatagramsRequest {
            message: Some(Say::Open(open)),
        };
        requests.send(first).expect("a receiver");
        let responses = client.datagrams(messages(receiver)).await?;
        let mut this = Self {
            opened: v1::Opened::default(),
            requests,
            responses: responses.into_inner(),
        };
        match this.next().await? {
            Hear::Opened(opened) => Ok(Self { opened, ..this }),
            other => panic!("{other:?} is no Opened"),
        }
    }

    async fn next(&mut self) -> Result<Hear, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        let next = next.expect("a message in time")?.expect("more");
        Ok(next.message.expect("something said"))
    }

    fn say(&self, message: Say) {
        let message = Some(message);
        let _ = self.requests.send(DatagramsRequest { message });
    }

    fn send(&self, messages: impl IntoIterator<Item = v1::OutgoingMessage>) {
        let messages = messages.into_iter().collect();
        self.say(Say::Send(v1::SendDatagrams { messages }));
    }

    fn credit(&self, received: u64, limit: u64, failures_heard: u64) {
        self.say(Say::Credit(v1::Credit {
            received,
            limit,
            failures_heard,
            ..Default::default()
        }));
    }

    /// The next so many datagrams.
    async fn received(&mut self, count: usize) -> Vec<v1::ReceivedMessage> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Ok(Hear::Received(received)) => {
                    assert_eq!(received.error, None);
                    all.extend(received.messages);
                }
                Ok(Hear::Credit(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(all.len(), count);
        all
    }

    /// Why the call ends.
    async fn end_reason(&mut self) -> String {
        loop {
            if let Err(status) = self.next().await {
                return reason(&status);
            }
        }
    }
}

/// A UDP socket of the daemon's, where it is, and one of the test's.
async fn bound(channel: &Channel) -> (u64, SocketAddr, UdpSocket) {
    let handle = socket(channel, v1::SocketType::Dgram).await;
    let bind = v1::BindRequest {
        handle,
        address: Some(v1::Address::from("127.0.0.1:0")),
    };
    let bound = sockets(channel).bind(bind).await.expect("a port");
    let bound = bound.into_inner().local_address;
    let address = farsock_proto::address::Address::from_wire(bound.expect("it"), &|_| None);
    let address = address.expect("an address").to_string();
    let address = address.parse().expect("an IP address");
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    (handle, address, peer)
}

fn opening(handle: u64, window: u64) -> OpenDatagrams {
    OpenDatagrams {
        handle,
        window,
        ..Default::default()
    }
}

fn to(address: &str, data: &[u8]) -> v1::OutgoingMessage {
    v1::OutgoingMessage {
        payload: Some(v1::outgoing_message::Payload::Data(data.to_vec().into())),
        address: Some(v1::Address::from(address)),
        ..Default::default()
    }
}

fn data(message: &v1::ReceivedMessage) -> &[u8] {
    match &message.payload {
        Some(v1::received_message::Payload::Data(data)) => data,
        other => panic!("{other:?}"),
    }
}

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
    let mut again = loop {
        match Datagrams::open(&channel, opening(handle, 1 << 20)).await {
            Ok(again) => break again,
            Err(status) => assert_eq!(reason(&status), "STREAM_IN_USE"),
        }
    };
    assert_eq!(again.opened.send_offset, 65);
    let both = again.received(2).await;
    assert_eq!(data(&both[0]), b"first");
    assert_eq!(both[1], cut);
    again.credit(70, 1 << 20, 0);
    assert_eq!(again.end_reason().await, "OFFSET_UNKNOWN");
}

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
    let failed = async |stream: &mut Datagrams| loop {
        match stream.next().await.unwrap() {
            Hear::SendFailed(failed) => {
                return (failed.offset, error_reason(&failed.error.unwrap()));
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failed(&mut stream).await, (end, "EMSGSIZE".to_owned()));
    let open = OpenDatagrams {
        stream_id: 1,
        ..opening(handle, 0)
    };
    drop(stream);
    let mut again = loop {
        match Datagrams::open(&channel, open).await {
            Ok(again) => break again,
            Err(status) => assert_eq!(reason(&status), "STREAM_IN_USE"),
        }
    };
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
        (vec![to(&here, &[0; 65_537])], "INVALID_REQUEST"),
        (vec![to(&here, &[0; 60_000]); 18], "CREDIT_EXCEEDED"),
    ] {
        let mut stream = loop {
            match Datagrams::open(&channel, opening(handle, 0)).await {
                Ok(stream) => break stream,
                Err(status) => assert_eq!(reason(&status), "STREAM_IN_USE"),
            }
        };
        stream.send(messages);
        assert_eq!(stream.end_reason().await, expected);
    }
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
    loop {
        match near.next().await.unwrap() {
            Hear::SendFailed(failed) => {
                assert_eq!(error_reason(&failed.error.unwrap()), "EPIPE");
                break;
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?} after the end"),
        }
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
    loop {
        match far.next().await.unwrap() {
            Hear::SendFailed(failed) => {
                assert_eq!(failed.offset, 128);
                assert_eq!(error_reason(&failed.error.unwrap()), "HANDLE_NOT_FOUND");
                break;
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
