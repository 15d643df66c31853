//! A session's end, as each way in is told of it; and what counts as a sign of its client until then.

use std::{process::Stdio, time::Duration};

use farsock_client::Client;
use farsock_proto::v1::{
    self, AcceptManyRequest, DatagramsRequest, OpenAcceptMany, OpenDatagrams, OpenStream,
    StreamRequest, accept_many_request, datagrams_request, operation::Request,
    operation_result::Outcome, stream_request, stream_service_client::StreamServiceClient,
};
use tokio::{
    process::Command,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tonic::{Status, transport::Channel};

use crate::{
    death::{Directory, start_daemon},
    support::*,
};

/// How a session is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Expired,
}

/// How a call says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// It names the session.
    Session,
    /// It names the session, and a request id.
    Request(u64),
    /// It names the handle alone.
    None,
}

fn of<T>(message: T, session: &str, membership: Membership) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let mut put = |key, value: &str| {
        let value = value.parse().expect("it is text");
        request.metadata_mut().insert(key, value);
    };
    match membership {
        Membership::None => {}
        Membership::Session => put("farsock-session", session),
        Membership::Request(id) => {
            put("farsock-session", session);
            put("farsock-request-id", &id.to_string());
        }
    }
    request
}

/// The sockets of a session: two that nothing comes to, and a listener.
struct Scene {
    channel: Channel,
    id: String,
    near: u64,
    far: u64,
    listener: u64,
    bytes: u64,
}

impl Scene {
    async fn new(channel: &Channel, seconds: i64) -> Self {
        let request = v1::OpenSessionRequest {
            lease: lease(seconds),
            ..Default::default()
        };
        let session = open_with(channel, request).await;
        let first = session.first_handle;
        let scene = Self {
            channel: channel.clone(),
            id: session.session_id,
            near: first,
            far: first + 1,
            listener: first + 2,
            bytes: first + 3,
        };
        let mut stream = Stream::attach(channel, &scene.id)
            .await
            .expect("it is there");
        stream.start(1, datagram_pair(scene.near, scene.far));
        stream.start(2, tcp_socket(scene.listener));
        stream.start(3, listen(scene.listener));
        stream.start(4, byte_pair(scene.bytes, first + 4));
        for id in 1..=4 {
            stream.succeeded(id).await;
        }
        scene
    }

    /// Ends the session, or lets its lease run out.
    async fn end(&self, how: End) {
        if how == End::Closed {
            let request = v1::CloseSessionRequest {
                session_id: self.id.clone(),
                abort: false,
            };
            let closed = sessions(&self.channel).close_session(request).await;
            closed.expect("it is there");
        }
        until(&self.channel, &self.id, |session| session.is_none()).await;
    }

    /// Every verb that waits, waiting.
    async fn calls(&self, membership: impl Fn(u64) -> Membership) -> JoinSet<(String, Status)> {
        let mut calls = JoinSet::new();
        let mut waiting = 0;
        // Each on a lane of its own, or behind another of these.
        let all = [
            recv(self.near, 10),
            Request::RecvFrom(v1::RecvFromRequest {
                handle: self.near,
                ..Default::default()
            }),
            Request::RecvMessages(v1::RecvMessagesRequest {
                handle: self.near,
                ..Default::default()
            }),
            accept(self.listener, 0),
            Request::Poll(v1::PollRequest {
                entries: vec![v1::PollEntry {
                    handle: self.near,
                    events: vec![v1::PollEvent::In.into()],
                }],
                ..Default::default()
            }),
            Request::Splice(v1::SpliceRequest {
                first: self.bytes,
                second: self.bytes + 1,
                ..Default::default()
            }),
        ];
        for (number, request) in (100..).zip(all) {
            let membership = membership(number);
            let (channel, id) = (self.channel.clone(), self.id.clone());
            calls.spawn(async move {
                let name = format!("{request:?} {membership:?}");
                (name, unary(&channel, &id, membership, request).await)
            });
            waiting += 1;
        }
        let there = async { while self.waiting().await < waiting {} };
        timeout(PATIENCE, there).await.expect("all of them wait");
        calls
    }

    /// How many operations wait on the session's sockets; a splice waits on two.
    async fn waiting(&self) -> u32 {
        let mut waiting = 0;
        for handle in [self.near, self.listener, self.bytes] {
            let request = v1::GetSocketRequest { handle };
            let socket = sockets(&self.channel).get_socket(request).await;
            let socket = socket.expect("it is open").into_inner().socket;
            waiting += socket.expect("a socket").waiting_operations;
        }
        waiting
    }

    /// A stream of each kind, open.
    async fn streams(&self) -> Vec<(&'static str, JoinHandle<Status>)> {
        let open = OpenStream {
            handle: self.bytes,
            window: 100,
            ..Default::default()
        };
        let open = StreamRequest {
            message: Some(stream_request::Message::Open(open)),
        };
        let mut client = StreamServiceClient::new(self.channel.clone());
        let stream = client.stream(said(open)).await.expect("it opens");
        let open = OpenDatagrams {
            handle: self.far,
            window: 65_600,
            ..Default::default()
        };
        let open = DatagramsRequest {
            message: Some(datagrams_request::Message::Open(open)),
        };
        let datagrams = client.datagrams(said(open)).await.expect("it opens");
        let open = OpenAcceptMany {
            handle: self.listener,
            window: 1,
            ..Default::default()
        };
        let open = AcceptManyRequest {
            message: Some(accept_many_request::Message::Open(open)),
        };
        let connections = client.accept_many(said(open)).await.expect("it opens");
        vec![
            ("Stream", end_of(stream.into_inner())),
            ("Datagrams", end_of(datagrams.into_inner())),
            ("AcceptMany", end_of(connections.into_inner())),
        ]
    }
}

/// One message, and a side that stays open.
fn said<T: Send + 'static>(message: T) -> impl futures_util::Stream<Item = T> + Send + 'static {
    use futures_util::StreamExt as _;
    futures_util::stream::iter([message]).chain(futures_util::stream::pending())
}

/// Reads a stream to its end.
fn end_of<T: Send + 'static>(mut stream: tonic::Streaming<T>) -> JoinHandle<Status> {
    tokio::spawn(async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended in good order"),
                Err(status) => return status,
            }
        }
    })
}

fn byte_pair(new_first: u64, new_second: u64) -> Request {
    use v1::create_socket_pair_request::{DomainChoice, TypeChoice};
    Request::CreateSocketPair(v1::CreateSocketPairRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(TypeChoice::Type(v1::SocketType::Stream.into())),
        new_first,
        new_second,
        ..Default::default()
    })
}

/// Makes a unary call that fails.
async fn unary(
    channel: &Channel,
    session: &str,
    membership: Membership,
    request: Request,
) -> Status {
    let mut client = sockets(channel);
    macro_rules! call {
        ($method:ident, $request:expr) => {
            client
                .$method(of($request, session, membership))
                .await
                .map(|answer| format!("{answer:?}"))
        };
    }
    let outcome = match request {
        Request::Recv(request) => call!(recv, request),
        Request::RecvFrom(request) => call!(recv_from, request),
        Request::RecvMessages(request) => call!(recv_messages, request),
        Request::Accept(request) => call!(accept, request),
        Request::Poll(request) => call!(poll, request),
        Request::Splice(request) => call!(splice, request),
        other => panic!("{other:?} does not wait"),
    };
    outcome.expect_err("its session is over")
}

async fn all_say_that_it_is_over(mut calls: JoinSet<(String, Status)>) {
    while let Some(call) = timeout(PATIENCE, calls.join_next()).await.expect("it ends") {
        let (name, status) = call.expect("it answers");
        assert_eq!(
            status_reason(&status),
            "SESSION_EXPIRED",
            "{name}: {status}"
        );
    }
}

#[tokio::test]
async fn calls_that_wait_in_a_session_that_is_closed_say_so() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    for membership in [
        |_| Membership::Session,
        |number| Membership::Request(number),
        |_| Membership::None,
    ] {
        let scene = Scene::new(&channel, 30).await;
        let calls = scene.calls(membership).await;
        scene.end(End::Closed).await;
        all_say_that_it_is_over(calls).await;
    }
}

#[tokio::test]
async fn calls_from_elsewhere_on_the_sockets_of_a_session_whose_lease_is_over_say_so() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let scene = Scene::new(&channel, 1).await;
    let calls = scene.calls(|_| Membership::None).await;
    scene.end(End::Expired).await;
    all_say_that_it_is_over(calls).await;
}

#[tokio::test]
async fn streams_on_the_sockets_of_a_session_that_is_over_say_so() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    for (how, seconds) in [(End::Closed, 30), (End::Expired, 1)] {
        let scene = Scene::new(&channel, seconds).await;
        let streams = scene.streams().await;
        scene.end(how).await;
        for (kind, end) in streams {
            let status = timeout(PATIENCE, end).await.expect("it ends");
            let status = status.expect("it says why");
            assert_eq!(
                status_reason(&status),
                "SESSION_EXPIRED",
                "{kind}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn a_call_in_a_session_that_waits_for_something_of_nobodys_ends_with_the_session() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let scene = Scene::new(&channel, 30).await;
    let Request::CreateSocketPair(pair) = byte_pair(0, 0) else {
        unreachable!("it is one")
    };
    let created = sockets(&channel).create_socket_pair(pair).await;
    let handle = created.expect("a pair").into_inner().first;
    let (other, id) = (channel.clone(), scene.id.clone());
    let waiting =
        tokio::spawn(async move { unary(&other, &id, Membership::Session, recv(handle, 1)).await });
    let request = v1::GetSocketRequest { handle };
    let waits = async {
        loop {
            let socket = sockets(&channel).get_socket(request).await;
            let socket = socket.expect("it is open").into_inner().socket;
            if socket.expect("a socket").waiting_operations == 1 {
                return;
            }
        }
    };
    timeout(PATIENCE, waits).await.expect("it waits");
    scene.end(End::Closed).await;
    let status = timeout(PATIENCE, waiting).await.expect("it ends");
    let status = status.expect("it answers");
    assert_eq!(status_reason(&status), "SESSION_EXPIRED");
}

#[tokio::test]
async fn a_unary_call_that_waits_keeps_the_lease() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let whole = prost_types::Duration {
        seconds: 1,
        nanos: 0,
    };
    for membership in [Membership::Session, Membership::Request(100)] {
        let scene = Scene::new(&channel, 1).await;
        let (other, id, near) = (channel.clone(), scene.id.clone(), scene.near);
        let call = tokio::spawn(async move {
            sockets(&other)
                .recv(of(recv_request(near, 10), &id, membership))
                .await
        });
        let waits = async { while scene.waiting().await < 1 {} };
        timeout(PATIENCE, waits).await.expect("it waits");
        // However often it is looked at, nothing of the lease is gone.
        for _ in 0..10 {
            let session = listed(&channel, &scene.id).await.expect("it is there");
            assert_eq!(session.lease_left, Some(whole));
        }
        // And what the client is told at last is its answer.
        let sent = sockets(&channel)
            .send(send_request(scene.far, b"at last"))
            .await;
        sent.expect("it is open");
        let answer = timeout(PATIENCE, call).await.expect("it ends");
        let answer = answer.expect("it answers").expect("it is there");
        assert_eq!(data(Outcome::Recv(answer.into_inner())), b"at last");
        // From then on the lease runs again.
        scene.end(End::Expired).await;
    }
}

#[tokio::test]
async fn a_daemon_that_was_stopped_for_longer_than_a_lease_reads_first_what_waits() {
    const LEASE: Duration = Duration::from_secs(1);
    let directory = Directory::new("stopped");
    let address = format!("unix://{}", directory.0.join("daemon.sock").display());
    let daemon = start_daemon(&address).await;
    let client = Client::builder().unary(true).connect(&address).await;
    let client = client.expect("it connects");
    let endpoint = tonic::transport::Endpoint::from_shared(address).expect("an address");
    let channel = endpoint.connect().await.expect("it listens");
    let request = v1::OpenSessionRequest {
        lease: lease(1),
        ..Default::default()
    };
    let session = open_with(&channel, request).await;
    let mut stream = Stream::attach(&channel, &session.session_id)
        .await
        .expect("it is there");
    stream.start(1, tcp_socket(session.first_handle));
    stream.succeeded(1).await;

    let process = daemon.id().expect("it runs");
    signal(process, "STOP").await;
    stream.say(farsock_proto::v1::operate_request::Message::KeepAlive(
        v1::KeepAlive {},
    ));
    // No state can be waited for: the one that knows the lease is stopped.
    tokio::time::sleep(3 * LEASE).await;
    stream.start(2, get_socket(session.first_handle));
    signal(process, "CONT").await;
    stream.succeeded(2).await;
    // And a lease that is not renewed ends as ever.
    assert_eq!(stream.end_reason().await, "SESSION_EXPIRED");
    assert!(client.sockets().await.expect("it answers").is_empty());
}

async fn signal(process: u32, name: &str) {
    let sent = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {process}")])
        .stdin(Stdio::null())
        .status()
        .await;
    assert!(sent.expect("sh runs").success());
}
