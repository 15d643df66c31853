//! Datagrams that break a rule of the API: each fails alone, in its turn, and is told once.

use farsock_proto::v1::{
    self, ControlMessage, OpenDatagrams, OperationError, OutgoingMessage, Rights, address::Form,
    control_message::Content, datagrams_response::Message as Hear, outgoing_message::Payload,
    unix_address::Name,
};
use prost::Message as _;
use tokio::{net::UdpSocket, time::timeout};
use tonic_types::pb::BadRequest;

use super::{Datagrams, bound, opening, to};
use crate::support::{PATIENCE, channel, error_reason, sockets};

/// What the stream counts for a datagram beside its payload.
const EACH: u64 = 64;

/// The field that breaks a rule, of an error that says so.
fn field(error: &OperationError) -> String {
    assert_eq!(error_reason(error), "INVALID_REQUEST");
    assert_eq!(error.code, i32::from(tonic::Code::InvalidArgument));
    let request = error
        .details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.BadRequest"))
        .expect("the field");
    let mut request = BadRequest::decode(request.value.as_slice()).expect("a BadRequest");
    assert_eq!(request.field_violations.len(), 1);
    let violation = request.field_violations.remove(0);
    assert!(!violation.description.is_empty());
    let text = format!("{}: {}", violation.field, violation.description);
    assert_eq!(error.message, text);
    violation.field
}

fn at(form: Form) -> OutgoingMessage {
    OutgoingMessage {
        address: Some(v1::Address { form: Some(form) }),
        ..Default::default()
    }
}

fn ip(host: &str, port: u32) -> OutgoingMessage {
    at(Form::Ip(v1::IpAddress {
        host: host.to_owned(),
        port,
        ..Default::default()
    }))
}

/// To some address, with control messages.
fn with(control: impl IntoIterator<Item = Content>) -> OutgoingMessage {
    let control = control.into_iter().map(|content| ControlMessage {
        content: Some(content),
    });
    OutgoingMessage {
        control: control.collect(),
        ..to("127.0.0.1:9", b"never sent")
    }
}

/// SOL_SOCKET and SCM_RIGHTS are 1 each.
fn raw(level: i32, data: Vec<u8>) -> Content {
    Content::Raw(v1::RawControlMessage {
        level,
        r#type: 1,
        data: data.into(),
    })
}

fn cost(message: &OutgoingMessage) -> u64 {
    let payload = message.payload.as_ref().map_or(0, Payload::length);
    payload as u64 + EACH
}

/// One of each kind, with the field that is told.
fn invalid(handle: u64) -> Vec<(OutgoingMessage, &'static str)> {
    let rights = |handles| {
        Content::Rights(Rights {
            handles,
            discarded: 0,
        })
    };
    let unix = Name::Path("x".repeat(108));
    let family = v1::RawAddress {
        family: 65_536,
        ..Default::default()
    };
    let nothing = OutgoingMessage {
        control: vec![ControlMessage::default()],
        ..Default::default()
    };
    let no_form = OutgoingMessage {
        address: Some(v1::Address::default()),
        ..to("", b"x")
    };
    let long_text = OutgoingMessage {
        payload: Some(Payload::Text("\u{e4}".repeat(40_000))),
        ..Default::default()
    };
    vec![
        (to("127.0.0.1:9", &[0; 65_537]), "payload"),
        (long_text, "payload"),
        (no_form, "address"),
        (ip("localhost", 9), "address.ip.host"),
        (ip("fe80::1%nowhere", 9), "address.ip.host"),
        (ip("127.0.0.1", 65_536), "address.ip.port"),
        (to("[fe80::1%nowhere]:9", b"no such zone"), "address.text"),
        (to("neither here nor there", b"x"), "address.text"),
        (
            at(Form::Unix(v1::UnixAddress { name: Some(unix) })),
            "address.unix.path",
        ),
        (at(Form::Raw(family)), "address.raw.family"),
        (nothing, "control[0]"),
        (
            with([Content::Ttl(1), Content::Timestamp(Default::default())]),
            "control[1].timestamp",
        ),
        (with([Content::Ttl(256)]), "control[0].ttl"),
        (with([Content::SegmentSize(0)]), "control[0].segment_size"),
        (with([rights(vec![1; 254])]), "control[0].rights.handles"),
        (with([raw(1, vec![0; 4])]), "control[0].raw"),
        (with([raw(0, vec![0; 4_097])]), "control[0].raw.data"),
        (with(vec![raw(0, vec![0; 4_000]); 5]), "control"),
        // Found only when its sockets are looked up, as it is sent.
        (
            with([rights(vec![handle]), raw(1, vec![0; 4])]),
            "control[1].raw",
        ),
    ]
}

async fn next_of(peer: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 100];
    let received = timeout(PATIENCE, peer.recv(&mut buffer)).await;
    buffer[..received.expect("one in time").expect("a datagram")].to_vec()
}

#[tokio::test]
async fn each_kind_fails_alone_and_those_around_it_arrive_in_order() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _, peer) = bound(&channel).await;
    let here = peer.local_addr().unwrap().to_string();
    let mut stream = Datagrams::open(&channel, opening(handle, 0)).await.unwrap();

    let mut messages = vec![to(&here, b"0")];
    let mut end = cost(&messages[0]);
    let mut expected = Vec::new();
    for (n, (message, field)) in (1_u8..).zip(invalid(handle)) {
        end += cost(&message);
        expected.push((end, field));
        messages.push(message);
        let valid = to(&here, &[b'0' + n]);
        end += cost(&valid);
        messages.push(valid);
    }
    stream.send(messages);
    for n in 0..=u8::try_from(expected.len()).unwrap() {
        assert_eq!(next_of(&peer).await, [b'0' + n]);
    }
    for expected in expected {
        let (offset, error) = stream.send_failed().await;
        assert_eq!((offset, &*field(&error)), expected);
    }
    // They count as any other, and nothing else is told of them.
    stream.taken(end).await;
    stream.send([to(&here, b"and so on")]);
    assert_eq!(next_of(&peer).await, b"and so on");
    stream.taken(end + 9 + EACH).await;
}

#[tokio::test]
async fn no_more_than_1_024_wait_to_be_heard_and_then_the_rest_follows() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _, peer) = bound(&channel).await;
    let here = peer.local_addr().unwrap().to_string();
    let mut stream = Datagrams::open(&channel, opening(handle, 0)).await.unwrap();
    let invalid = with([Content::Ttl(256)]);
    let each = cost(&invalid);
    stream.send(vec![invalid.clone(); 1_024]);
    stream.send([to(&here, b"1"), invalid, to(&here, b"2")]);
    for n in 1..=1_024 {
        assert_eq!(stream.send_failed().await.0, n * each);
    }
    stream.taken(1_024 * each).await;
    // One more has room when one was heard.
    stream.credit(0, 0, each);
    let end = 1_024 * each + 65 + each;
    assert_eq!(stream.send_failed().await.0, end);
    assert_eq!(next_of(&peer).await, b"1");
    stream.credit(0, 0, end);
    assert_eq!(next_of(&peer).await, b"2");
    stream.taken(end + 65).await;
}

#[tokio::test]
async fn what_was_not_heard_when_the_connection_broke_is_told_again_until_it_was() {
    let daemon = farsock_daemon::embedded();
    let control = channel(&daemon).await;
    let (handle, _, peer) = bound(&control).await;
    let here = peer.local_addr().unwrap().to_string();
    let open = OpenDatagrams {
        stream_id: 1,
        ..opening(handle, 0)
    };
    let cut = channel(&daemon).await;
    let mut stream = Datagrams::open(&cut, open).await.unwrap();
    let nowhere = to("[fe80::1%nowhere]:9", b"lost");
    let end = 65 + cost(&nowhere);
    stream.send([to(&here, b"1"), nowhere.clone(), to(&here, b"2")]);
    let told = |(offset, error): (u64, OperationError)| (offset, field(&error));
    let expected = (end, "address.text".to_owned());
    assert_eq!(told(stream.send_failed().await), expected);
    drop((stream, cut));

    let cut = channel(&daemon).await;
    let mut stream = Datagrams::open(&cut, open).await.unwrap();
    assert_eq!(stream.opened.send_offset, end + 65);
    assert_eq!(told(stream.send_failed().await), expected);
    stream.credit(0, 0, end);
    stream.send([nowhere]);
    let next = (end + 65 + 68, "address.text".to_owned());
    assert_eq!(told(stream.send_failed().await), next);
    drop((stream, cut));

    // The first was heard, and the second was not.
    let mut stream = Datagrams::open(&control, open).await.unwrap();
    assert_eq!(told(stream.send_failed().await), next);
    stream.credit(0, 0, next.0);
    stream.send([to(&here, b"3")]);
    stream.taken(next.0 + 65).await;
    for expected in [b"1", b"2", b"3"] {
        assert_eq!(next_of(&peer).await, expected);
    }
}

#[tokio::test]
async fn who_opens_the_stream_again_says_what_was_heard_and_what_waited_for_that_follows() {
    let daemon = farsock_daemon::embedded();
    let control = channel(&daemon).await;
    let (handle, _, peer) = bound(&control).await;
    let here = peer.local_addr().unwrap().to_string();
    let open = |failures_heard| OpenDatagrams {
        stream_id: 1,
        failures_heard,
        ..opening(handle, 0)
    };
    // Nothing has failed yet: it says nothing of those that will.
    let mut stream = Datagrams::open(&control, open(u64::MAX)).await.unwrap();
    let invalid = with([Content::Ttl(256)]);
    let each = cost(&invalid);
    stream.send(vec![invalid; 1_024]);
    stream.send([to(&here, b"1")]);
    for n in 1..=1_024 {
        assert_eq!(stream.send_failed().await.0, n * each);
    }
    // All but the last two are known; this opening may not have told anything when it is taken over.
    let again = Datagrams::open(&control, open(0)).await.unwrap();
    assert_eq!(again.opened.send_offset, 1_024 * each + 65);
    let mut stream = Datagrams::open(&control, open(1_022 * each)).await.unwrap();
    assert_eq!(next_of(&peer).await, b"1");
    for n in [1_023, 1_024] {
        assert_eq!(stream.send_failed().await.0, n * each);
    }
    let mut stream = Datagrams::open(&control, open(1_024 * each)).await.unwrap();
    stream.taken(1_024 * each + 65).await;
}

#[tokio::test]
async fn one_whose_turn_comes_while_nobody_is_connected_is_told_to_who_comes_next() {
    use v1::create_socket_pair_request::{DomainChoice, TypeChoice};
    let daemon = farsock_daemon::embedded();
    let control = channel(&daemon).await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Dgram.into())),
        ..Default::default()
    };
    let pair = sockets(&control).create_socket_pair(request).await.unwrap();
    let pair = pair.into_inner();
    let open = OpenDatagrams {
        stream_id: 1,
        ..opening(pair.first, 0)
    };
    let cut = channel(&daemon).await;
    let mut stream = Datagrams::open(&cut, open).await.unwrap();
    // More than the other socket holds, so that the last of them wait here.
    let valid = OutgoingMessage {
        payload: Some(Payload::Data(vec![7; 1_000].into())),
        ..Default::default()
    };
    let count = 600;
    let mut messages = vec![valid; count];
    let all: u64 = messages.iter().map(cost).sum();
    messages.push(with([Content::Ttl(256)]));
    let end = all + cost(&messages[count]);
    messages.push(OutgoingMessage::default());
    stream.send(messages);
    loop {
        match stream.next().await.unwrap() {
            Hear::Credit(credit) if credit.received == end + EACH => {
                assert!(credit.taken < end, "it is not its turn yet");
                break;
            }
            Hear::Credit(_) => {}
            other => panic!("{other:?}"),
        }
    }
    drop((stream, cut));

    let mut far = Datagrams::open(&control, opening(pair.second, 1 << 20))
        .await
        .unwrap();
    far.received(count + 1).await;
    let mut stream = Datagrams::again(&control, open).await;
    let (offset, error) = stream.send_failed().await;
    assert_eq!((offset, &*field(&error)), (end, "control[0].ttl"));
    stream.taken(end + EACH).await;
}
