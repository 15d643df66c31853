//! What sessions promise: each operation once, in order where asked, results until acknowledged, and an end for what is left behind.

use std::{
    io::{ErrorKind, Read as _},
    time::{Duration, SystemTime},
};

use farsock_daemon::Embedded;
use farsock_proto::v1::{self, operation_result::Outcome};
use tokio::time::timeout;
use tonic::{Request, transport::Channel};

use crate::support::*;

/// A session with a stream attached, and a pair of datagram sockets.
async fn scene() -> (Embedded, Channel, v1::OpenSessionResponse, Stream) {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let stream = Stream::attach(&channel, &session.session_id)
        .await
        .expect("it attaches");
    (daemon, channel, session, stream)
}

/// A unary request in a session.
fn in_session<T>(message: T, session: &str, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    let session = session.parse().expect("it is text");
    request.metadata_mut().insert("farsock-session", session);
    for (key, value) in metadata {
        let value = value.parse().expect("it is text");
        request.metadata_mut().insert(*key, value);
    }
    request
}

#[tokio::test]
async fn a_unary_call_under_a_request_id_happens_once_and_keeps_its_result() {
    let (_daemon, channel, session, mut stream) = scene().await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    for (id, data) in [(2, b"first".as_slice()), (3, b"second")] {
        stream.start(id, send(near, data));
        stream.succeeded(id).await;
    }
    let id = session.session_id.as_str();
    let mut client = sockets(&channel);
    let mut receive = async |metadata: &[_]| {
        let request = in_session(recv_request(far, 64), id, metadata);
        let response = client.recv(request).await?.into_inner();
        Ok::<_, tonic::Status>(data(Outcome::Recv(response)))
    };
    let (ten, eleven) = (("farsock-request-id", "10"), ("farsock-request-id", "11"));
    assert_eq!(receive(&[ten]).await.unwrap(), b"first");
    assert_eq!(receive(&[ten]).await.unwrap(), b"first");
    // Acknowledged, the result is gone; the call is not made again.
    let acknowledged = receive(&[eleven, ("farsock-acknowledge", "10, 1,2")]).await;
    assert_eq!(acknowledged.unwrap(), b"second");
    let forgotten = receive(&[ten]).await.unwrap_err();
    assert_eq!(status_reason(&forgotten), "REQUEST_FORGOTTEN");
    let unknown = receive(&[("farsock-acknowledge", "99")]).await.unwrap_err();
    assert_eq!(status_reason(&unknown), "REQUEST_UNKNOWN");
    let malformed = receive(&[("farsock-request-id", "ten")]).await.unwrap_err();
    assert_eq!(status_reason(&malformed), "INVALID_REQUEST");

    // The id is that operation's alone, and an error is a result like any other.
    let other = in_session(recv_request(far, 65), id, &[eleven]);
    let other = sockets(&channel).recv(other).await.unwrap_err();
    assert_eq!(status_reason(&other), "REQUEST_MISMATCH");
    for _ in 0..2 {
        let request = v1::GetPeerNameRequest { handle: 7 };
        let request = in_session(request, id, &[("farsock-request-id", "12")]);
        let failed = sockets(&channel).get_peer_name(request).await.unwrap_err();
        assert_eq!(status_reason(&failed), "HANDLE_NOT_FOUND");
    }
    let mut list = Request::new(v1::ListSocketsRequest::default());
    list.metadata_mut()
        .insert("farsock-request-id", "13".parse().unwrap());
    let alone = sockets(&channel).list_sockets(list).await.unwrap_err();
    assert_eq!(status_reason(&alone), "INVALID_REQUEST");
    let kept = listed(&channel, id).await.unwrap().kept_results;
    assert_eq!(kept, 3, "3, 11 and 12");
}

#[tokio::test]
async fn a_unary_call_that_lost_its_connection_is_answered_when_it_is_made_again() {
    let (daemon, channel, session, mut stream) = scene().await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    let id = session.session_id.clone();
    let call = |channel: Channel, id: String| async move {
        let metadata = [("farsock-request-id", "5")];
        let request = in_session(recv_request(far, 64), &id, &metadata);
        sockets(&channel).recv(request).await
    };
    let other = crate::support::channel(&daemon).await;
    let lost = tokio::spawn(call(other, id.clone()));
    until(&channel, &id, |session| {
        session.is_some_and(|session| session.in_flight == 1)
    })
    .await;
    lost.abort();
    assert!(lost.await.is_err());
    stream.start(2, send(near, b"once"));
    let again = call(channel.clone(), id.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(data(Outcome::Recv(again)), b"once");
}

#[tokio::test]
async fn a_chain_runs_in_order_and_its_first_failure_fails_all_that_follow() {
    const LENGTH: u64 = 5000;
    let (_daemon, _channel, session, mut stream) = scene().await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    // Held by one that waits: a success lets the first half go, and its last, which fails, the second.
    stream.start_notified(2, recv(far, 64));
    stream.waiting(2).await;
    let half = LENGTH / 2;
    for step in 0..LENGTH {
        let handle = if step == half { 7 } else { near };
        stream.start_after(3 + step, 2 + step, get_socket(handle));
    }
    stream.start(1_000_000, send(near, b"go"));
    let (mut next, mut others) = (3, 0);
    while next < 3 + LENGTH {
        let ended = match stream.next().await {
            v1::operate_response::Message::Ended(ended) => ended,
            other => panic!("{other:?}"),
        };
        if [2, 1_000_000].contains(&ended.request_id) {
            others += 1;
            continue;
        }
        assert_eq!(ended.request_id, next);
        let expected = match next.cmp(&(3 + half)) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some("HANDLE_NOT_FOUND"),
            std::cmp::Ordering::Greater => Some("DEPENDENCY_FAILED"),
        };
        match outcome(ended) {
            Outcome::Error(error) => assert_eq!(Some(reason(&error).as_str()), expected),
            _ => assert_eq!(None, expected),
        }
        next += 1;
    }
    assert_eq!(others, 2);
}

#[tokio::test]
async fn a_cancel_ends_what_waits_and_what_is_held_and_nothing_else() {
    let (_daemon, _channel, session, mut stream) = scene().await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    stream.start(1, datagram_pair(near, far));
    let ended = stream.ended(1).await;
    stream.start_notified(2, recv(far, 64));
    stream.waiting(2).await;
    stream.start_after(3, 2, close(near));
    stream.start_after(4, 3, close(far));
    stream.start_with(5, close(near), |start| {
        start.start_time = Some((SystemTime::now() + Duration::from_secs(3000)).into());
    });
    // Held: it takes with it what follows it.
    stream.cancel(3);
    assert_eq!(stream.failed(3).await, "CANCELLED");
    assert_eq!(stream.failed(4).await, "DEPENDENCY_FAILED");
    stream.cancel(5);
    assert_eq!(stream.failed(5).await, "CANCELLED");
    stream.cancel(2);
    assert_eq!(stream.failed(2).await, "CANCELLED");
    // Ended: its result stays as it is, and nothing was taken.
    stream.cancel(1);
    stream.start(1, datagram_pair(near, far));
    assert_eq!(stream.ended(1).await, ended);
    stream.start(6, send(near, b"whole"));
    stream.succeeded(6).await;
    stream.start(7, recv(far, 64));
    assert_eq!(stream.received(7).await, b"whole");
}

#[tokio::test]
async fn a_start_time_is_kept_and_the_timing_is_true() {
    let (_daemon, _channel, session, mut stream) = scene().await;
    let asked = SystemTime::now() + Duration::from_millis(50);
    for (id, time) in [(1, asked), (2, SystemTime::UNIX_EPOCH)] {
        stream.start_with(id, tcp_socket(session.first_handle + id), |start| {
            start.start_time = Some(time.into());
        });
    }
    // Long past is at once, and as late as that.
    let times = stream.ended(2).await.timing.expect("it ran");
    let late = Duration::try_from(times.late.expect("it had a time")).expect("not early");
    assert!(late > Duration::from_secs(365 * 24 * 3600));
    let times = stream.ended(1).await.timing.expect("it ran");
    let span = |span: Option<prost_types::Duration>| {
        Duration::try_from(span.expect("it is told")).expect("it is not negative")
    };
    let began = SystemTime::try_from(times.start_time.unwrap()).unwrap();
    assert!(began >= asked && began <= SystemTime::now());
    assert!(span(times.late) <= began.duration_since(asked).unwrap());
    assert!(span(times.start) <= span(times.end));
    assert!(span(times.waited) <= span(times.end) - span(times.start));
}

#[tokio::test]
async fn operations_go_on_without_a_stream_and_their_results_wait_for_the_next() {
    let (_daemon, channel, session, mut stream) = scene().await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    stream.start_notified(2, recv(far, 64));
    stream.waiting(2).await;
    stream.start_after(3, 2, close(far));
    stream.acknowledge([1]);
    stream.start(4, get_socket(near));
    stream.succeeded(4).await;
    drop(stream);
    let id = session.session_id.as_str();
    until(&channel, id, |session| {
        session.is_some_and(|session| !session.attached)
    })
    .await;
    let request = in_session(send_request(near, b"meanwhile"), id, &[]);
    sockets(&channel).send(request).await.unwrap();
    until(&channel, id, |session| {
        session.is_some_and(|session| session.in_flight == 0 && session.sockets == 1)
    })
    .await;

    for _ in 0..2 {
        let mut stream = Stream::attach(&channel, id).await.unwrap();
        assert_eq!(stream.known, [2, 3, 4]);
        assert_eq!(stream.received(2).await, b"meanwhile");
        stream.succeeded(3).await;
        stream.succeeded(4).await;
    }
}

/// Opens a session of a second with one accepted connection; returns the peer of that.
async fn left_behind(channel: &Channel, on_expiry: v1::OnExpiry) -> (String, std::net::TcpStream) {
    let request = v1::OpenSessionRequest {
        lease: lease(1),
        on_expiry: on_expiry.into(),
        ..Default::default()
    };
    let session = open_with(channel, request).await;
    let mut stream = Stream::attach(channel, &session.session_id)
        .await
        .expect("it attaches");
    let listener = session.first_handle;
    stream.start(1, tcp_socket(listener));
    stream.start_after(2, 1, bind(listener, "127.0.0.1:0"));
    stream.start_after(3, 2, listen(listener));
    stream.start_with(4, accept(listener, listener + 1), |start| {
        start.after = 3;
        start.notify_waiting = true;
    });
    stream.succeeded(1).await;
    let Outcome::Bind(bound) = stream.succeeded(2).await else {
        panic!("it is bind's");
    };
    stream.succeeded(3).await;
    // It says that it waits; now somebody connects.
    stream.waiting(4).await;
    let Some(v1::address::Form::Ip(address)) = bound.local_address.expect("it is bound").form
    else {
        panic!("an internet address");
    };
    let port = u16::try_from(address.port).expect("a port");
    let peer = std::net::TcpStream::connect((address.host.as_str(), port)).expect("it listens");
    stream.succeeded(4).await;
    (session.session_id, peer)
}

#[tokio::test]
async fn a_lease_that_is_over_closes_the_sockets_or_resets_them() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    for on_expiry in [v1::OnExpiry::Unspecified, v1::OnExpiry::Abort] {
        let (id, mut peer) = left_behind(&channel, on_expiry).await;
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let end = tokio::task::spawn_blocking(move || peer.read(&mut [0]))
            .await
            .unwrap();
        match on_expiry {
            v1::OnExpiry::Abort => assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset),
            _ => assert_eq!(end.unwrap(), 0),
        }
        assert!(listed(&channel, &id).await.is_none());
    }
}

#[tokio::test]
async fn a_session_whose_client_gives_signs_outlives_its_lease() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let request = v1::OpenSessionRequest {
        lease: lease(1),
        ..Default::default()
    };
    // The second gives none, and is the clock: when it is over, a second has passed.
    let renewed = open_with(&channel, request.clone()).await.session_id;
    let kept = open_with(&channel, request.clone()).await.session_id;
    let silent = open_with(&channel, request).await.session_id;
    let stream = Stream::attach(&channel, &kept).await.unwrap();
    let signs = async {
        while listed(&channel, &silent).await.is_some() {
            let session_id = renewed.clone();
            let request = v1::RenewSessionRequest { session_id };
            sessions(&channel).renew_session(request).await.unwrap();
            let keep_alive = v1::KeepAlive {};
            stream.say(v1::operate_request::Message::KeepAlive(keep_alive));
        }
    };
    timeout(PATIENCE, signs).await.unwrap();
    assert!(listed(&channel, &renewed).await.is_some());
    assert!(listed(&channel, &kept).await.is_some());
}

#[tokio::test]
async fn closing_a_session_ends_its_operations_and_tells_how_many_sockets_it_had() {
    let (_daemon, channel, session, mut stream) = scene().await;
    let first = session.first_handle;
    stream.start(1, datagram_pair(first, first + 1));
    stream.start(2, tcp_socket(first + 2));
    stream.start_notified(3, recv(first, 64));
    stream.succeeded(1).await;
    stream.succeeded(2).await;
    stream.waiting(3).await;
    let request = v1::CloseSessionRequest {
        session_id: session.session_id,
        abort: false,
    };
    let closed = sessions(&channel).close_session(request).await.unwrap();
    assert_eq!(closed.into_inner().closed_sockets, 3);
    assert_eq!(stream.end_reason().await, "SESSION_EXPIRED");
    let list = sockets(&channel)
        .list_sockets(v1::ListSocketsRequest::default())
        .await;
    assert!(list.unwrap().into_inner().sockets.is_empty());
}

#[tokio::test]
async fn a_daemon_that_shuts_down_tells_its_streams() {
    let (daemon, _channel, _session, mut stream) = scene().await;
    let draining = tokio::spawn(daemon.shutdown());
    assert_eq!(stream.end_reason().await, "DRAINING");
    drop((stream, _channel));
    timeout(PATIENCE, draining).await.unwrap().unwrap();
}
