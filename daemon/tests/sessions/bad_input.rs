//! Everything that a client may say wrong: each has its reason, and the other operations on the stream do not notice.

use std::time::{Duration, SystemTime};

use farsock_daemon::{Embedded, config::Config, server::Server, shutdown::Shutdown};
use farsock_proto::v1::{
    self, KeepAlive, operate_request::Message as Incoming, operate_response::Message as Outgoing,
};
use tonic::{Code, transport::Endpoint};

use crate::support::*;

/// An attached session with an operation that waits while everything else goes wrong.
struct Scene {
    daemon: Embedded,
    channel: tonic::transport::Channel,
    session: v1::OpenSessionResponse,
    stream: Stream,
}

/// The request ids of a scene's own, and its handles, counted from the session's first.
const PAIR: u64 = 1_000_001;
const BYSTANDER: u64 = 1_000_002;
const WAKE: u64 = 1_000_003;
const NEAR: u64 = 1_000_001;
const FAR: u64 = 1_000_002;

impl Scene {
    async fn new() -> Self {
        let daemon = farsock_daemon::embedded();
        let channel = channel(&daemon).await;
        let session = open(&channel).await;
        let mut stream = Stream::attach(&channel, &session.session_id)
            .await
            .expect("it attaches");
        let (near, far) = (session.first_handle + NEAR, session.first_handle + FAR);
        stream.start(PAIR, datagram_pair(near, far));
        stream.succeeded(PAIR).await;
        stream.start_notified(BYSTANDER, recv(far, 64));
        stream.waiting(BYSTANDER).await;
        Self {
            daemon,
            channel,
            session,
            stream,
        }
    }

    fn handle(&self, number: u64) -> u64 {
        self.session.first_handle + number
    }

    /// The operation that waited still does, and ends as it should.
    async fn is_undisturbed(&mut self) {
        let near = self.handle(NEAR);
        self.stream.start(WAKE, send(near, b"undisturbed"));
        let mut data = None;
        for _ in 0..2 {
            match self.stream.next().await {
                Outgoing::Ended(ended) if ended.request_id == WAKE => {}
                Outgoing::Ended(ended) if ended.request_id == BYSTANDER => {
                    data = Some(crate::support::data(outcome(ended)));
                }
                other => panic!("{other:?} disturbs"),
            }
        }
        assert_eq!(data.as_deref(), Some(&b"undisturbed"[..]));
    }
}

#[tokio::test]
async fn a_request_id_is_one_operations_alone() {
    let mut scene = Scene::new().await;
    let handle = scene.handle(0);
    let stream = &mut scene.stream;
    stream.start(1, tcp_socket(handle));
    let first = stream.ended(1).await;
    stream.start(1, tcp_socket(handle + 1));
    assert_eq!(stream.refused(1).await, "REQUEST_MISMATCH");
    // Its order is a part of it.
    stream.start_after(1, PAIR, tcp_socket(handle));
    assert_eq!(stream.refused(1).await, "REQUEST_MISMATCH");
    stream.start(BYSTANDER, tcp_socket(handle + 1));
    assert_eq!(stream.refused(BYSTANDER).await, "REQUEST_MISMATCH");
    // The same is the same: with the times of the first, since it was not done again.
    stream.start(1, tcp_socket(handle));
    assert_eq!(stream.ended(1).await, first);
    stream.start(0, tcp_socket(handle + 1));
    assert_eq!(stream.refused(0).await, "INVALID_REQUEST");
    stream.acknowledge([1]);
    stream.start(1, tcp_socket(handle));
    assert_eq!(stream.refused(1).await, "REQUEST_FORGOTTEN");
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn what_follows_must_have_been_sent_before() {
    let mut scene = Scene::new().await;
    let handle = scene.handle(0);
    let stream = &mut scene.stream;
    for (id, after) in [(1, 99), (2, 3), (3, 3), (4, u64::MAX)] {
        stream.start_after(id, after, tcp_socket(handle));
        assert_eq!(stream.refused(id).await, "REQUEST_UNKNOWN");
    }
    // Refused is not started: the ids, and the handle, are free.
    stream.start(1, tcp_socket(handle));
    stream.succeeded(1).await;
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn handles_are_of_the_sessions_block_and_each_is_used_once() {
    let mut scene = Scene::new().await;
    let (first, count) = (scene.session.first_handle, scene.session.handle_count);
    let other = open(&scene.channel).await.first_handle;
    let stream = &mut scene.stream;
    for (id, outside) in [
        (1, first + count),
        (2, first - 1),
        (3, other),
        (4, u64::MAX),
    ] {
        stream.start(id, tcp_socket(outside));
        assert_eq!(stream.failed(id).await, "HANDLE_OUT_OF_BLOCK");
    }
    stream.start(5, tcp_socket(first));
    stream.succeeded(5).await;
    stream.start(6, tcp_socket(first));
    assert_eq!(stream.failed(6).await, "HANDLE_IN_USE");
    stream.start(7, datagram_pair(first + 1, first + 1));
    assert_eq!(stream.failed(7).await, "HANDLE_IN_USE");
    stream.start(8, close(first));
    stream.succeeded(8).await;
    // A number that was used is never used again.
    stream.start(9, tcp_socket(first));
    assert_eq!(stream.failed(9).await, "HANDLE_IN_USE");
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn only_what_has_ended_can_be_acknowledged_and_only_what_is_known_cancelled() {
    let mut scene = Scene::new().await;
    let stream = &mut scene.stream;
    stream.acknowledge([7, BYSTANDER, PAIR]);
    assert_eq!(stream.refused(7).await, "REQUEST_UNKNOWN");
    assert_eq!(stream.refused(BYSTANDER).await, "REQUEST_UNKNOWN");
    // Again: the first one's effect may not have been noticed.
    stream.acknowledge([PAIR]);
    stream.cancel(8);
    assert_eq!(stream.refused(8).await, "REQUEST_UNKNOWN");
    stream.cancel(PAIR);
    assert_eq!(stream.refused(PAIR).await, "REQUEST_UNKNOWN");
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn a_malformed_operation_ends_with_what_is_wrong_with_it() {
    let mut scene = Scene::new().await;
    let handle = scene.handle(0);
    let stream = &mut scene.stream;
    let far_ahead = SystemTime::now() + Duration::from_secs(3700);
    stream.start_with(1, tcp_socket(handle), |start| start.operation = None);
    stream.start_with(2, tcp_socket(handle), |start| {
        start.operation = Some(v1::Operation::default());
    });
    stream.start(3, bind(handle, "nowhere at all"));
    stream.start(4, recv(handle, -1));
    stream.start_with(5, tcp_socket(handle), |start| {
        start.start_time = Some(far_ahead.into());
    });
    stream.start_with(6, tcp_socket(handle), |start| {
        let (seconds, nanos) = (0, -1);
        start.start_time = Some(prost_types::Timestamp { seconds, nanos });
    });
    for id in 1..=6 {
        assert_eq!(stream.failed(id).await, "INVALID_REQUEST", "of {id}");
    }
    // What follows them fails with them.
    stream.start_after(7, 5, tcp_socket(handle));
    assert_eq!(stream.failed(7).await, "DEPENDENCY_FAILED");
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn a_stream_attaches_first_and_once() {
    let mut scene = Scene::new().await;
    for first in [None, Some(Incoming::KeepAlive(KeepAlive {}))] {
        let refused = Stream::begin(&scene.channel, first).await.err();
        let refused = refused.expect("it is not attached");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(status_reason(&refused), "INVALID_REQUEST");
    }
    let session_id = scene.session.session_id.clone();
    scene.stream.say(Incoming::Attach(v1::Attach {
        session_id,
        attempt: 0,
    }));
    assert_eq!(scene.stream.refused(0).await, "REQUEST_UNKNOWN");
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn of_two_streams_the_newer_has_the_session_and_the_older_is_told() {
    let mut scene = Scene::new().await;
    let newer = channel(&scene.daemon).await;
    let newer = Stream::attach(&newer, &scene.session.session_id)
        .await
        .unwrap();
    assert_eq!(newer.known, [PAIR, BYSTANDER]);
    let mut older = std::mem::replace(&mut scene.stream, newer);
    assert_eq!(older.end_reason().await, "SESSION_TAKEN");
    // Told again, since nobody acknowledged it, and what waits still does.
    scene.stream.succeeded(PAIR).await;
    scene.stream.waiting(BYSTANDER).await;
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn a_session_that_is_unknown_closed_or_expired_cannot_be_used() {
    let mut scene = Scene::new().await;
    let closed = open(&scene.channel).await.session_id;
    let session_id = closed.clone();
    let request = v1::CloseSessionRequest {
        session_id,
        abort: false,
    };
    sessions(&scene.channel)
        .close_session(request)
        .await
        .unwrap();
    let request = v1::OpenSessionRequest {
        lease: lease(1),
        ..Default::default()
    };
    let expired = open_with(&scene.channel, request).await.session_id;
    let mut attached = Stream::attach(&scene.channel, &expired).await.unwrap();
    assert_eq!(attached.end_reason().await, "SESSION_EXPIRED");

    for id in [&closed, &expired, "", "0123456789abcdef0123456789abcdef"] {
        let refused = Stream::attach(&scene.channel, id).await.err();
        let refused = refused.expect("there is no such session");
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(status_reason(&refused), "SESSION_NOT_FOUND");
        let mut request = tonic::Request::new(v1::ListSocketsRequest::default());
        let id = id.parse().expect("it is text");
        request.metadata_mut().insert("farsock-session", id);
        let refused = sockets(&scene.channel).list_sockets(request).await;
        let refused = refused.expect_err("there is no such session");
        assert_eq!(status_reason(&refused), "SESSION_NOT_FOUND");
    }
    scene.is_undisturbed().await;
}

#[tokio::test]
async fn a_session_is_its_owners_alone() {
    let path = std::env::temp_dir().join(format!("farsock-owner-{}.sock", std::process::id()));
    let mut config = Config::embedded();
    let unix = format!("unix://{}", path.display());
    config.listen = vec!["tcp://127.0.0.1:0".parse().unwrap(), unix.parse().unwrap()];
    let server = Server::bind(config).await.expect("it listens");
    let addresses = server.addresses();
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(server.run(shutdown.clone()));

    let tcp = addresses[0].to_string().replace("tcp://", "http://");
    let theirs = Endpoint::from_shared(tcp).unwrap().connect().await.unwrap();
    let ours = Endpoint::from_shared(addresses[1].to_string()).unwrap();
    let ours = ours.connect().await.unwrap();
    let session = open(&ours).await;
    let refused = Stream::attach(&theirs, &session.session_id).await.err();
    assert_eq!(status_reason(&refused.unwrap()), "SESSION_NOT_FOUND");
    let session_id = session.session_id.clone();
    let request = v1::RenewSessionRequest { session_id };
    let refused = sessions(&theirs).renew_session(request).await.unwrap_err();
    assert_eq!(status_reason(&refused), "SESSION_NOT_FOUND");
    let session_id = session.session_id.clone();
    let request = v1::CloseSessionRequest {
        session_id,
        abort: true,
    };
    let refused = sessions(&theirs).close_session(request).await.unwrap_err();
    assert_eq!(status_reason(&refused), "SESSION_NOT_FOUND");
    assert!(listed(&theirs, &session.session_id).await.is_none());
    assert!(listed(&ours, &session.session_id).await.is_some());
    Stream::attach(&ours, &session.session_id).await.unwrap();

    shutdown.now();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn terms_out_of_range_open_no_session() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let with = |change: fn(&mut v1::OpenSessionRequest)| {
        let mut request = v1::OpenSessionRequest::default();
        change(&mut request);
        request
    };
    for request in [
        with(|request| request.lease = lease(0)),
        with(|request| request.lease = lease(3601)),
        with(|request| request.lease = lease(-1)),
        with(|request| request.label = "x".repeat(257)),
        with(|request| request.on_expiry = 77),
    ] {
        let refused = sessions(&channel).open_session(request).await;
        let refused = refused.map(drop).unwrap_err();
        assert_eq!(status_reason(&refused), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_the_stream_with_the_reason_and_not_the_session() {
    // An operation is in flight the whole time: without it the stream would end by itself.
    let mut scene = Scene::new().await;
    let too_long = vec![0; 5 << 20];
    scene.stream.start(1, send(scene.handle(NEAR), &too_long));
    let why = loop {
        match scene.stream.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(why.code(), Code::OutOfRange, "{why:?}");
    let id = &scene.session.session_id;
    scene.stream = Stream::attach(&scene.channel, id)
        .await
        .expect("it attaches");
    assert_eq!(scene.stream.known, [PAIR, BYSTANDER]);
    scene.stream.succeeded(PAIR).await;
    scene.stream.waiting(BYSTANDER).await;
    scene.is_undisturbed().await;
}
