//! Operations that are undone: what they took is the next to be received or accepted, once, in order, and by whatever takes it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use farsock_daemon::Embedded;
use farsock_proto::v1::{
    self, MessageFlag, create_socket_pair_request as pair, create_socket_request as create,
    operation::Request, operation_result::Outcome,
};
use tonic::transport::Channel;

use crate::support::*;

/// A daemon, and a session with a stream attached.
struct Scene {
    _daemon: Embedded,
    channel: Channel,
    session: v1::OpenSessionResponse,
    stream: Stream,
    id: u64,
}

impl Scene {
    async fn new() -> Self {
        let daemon = farsock_daemon::embedded();
        let channel = channel(&daemon).await;
        let session = open(&channel).await;
        let stream = Stream::attach(&channel, &session.session_id).await;
        Self {
            _daemon: daemon,
            channel,
            session,
            stream: stream.expect("it attaches"),
            id: 0,
        }
    }

    /// Starts an operation: its id.
    fn start(&mut self, request: Request) -> u64 {
        self.id += 1;
        self.stream.start(self.id, request);
        self.id
    }

    /// An operation's success.
    async fn done(&mut self, request: Request) -> Outcome {
        let id = self.start(request);
        self.stream.succeeded(id).await
    }

    /// An operation that has ended, and its success.
    async fn ended(&mut self, request: Request) -> (u64, Outcome) {
        let outcome = self.done(request).await;
        (self.id, outcome)
    }

    /// Undoes an operation that has ended.
    async fn undo(&mut self, id: u64) {
        self.stream.give_back(id);
        assert_eq!(self.stream.failed(id).await, "CANCELLED");
    }

    /// Receives, and undoes that.
    async fn received_and_undone(&mut self, request: Request) -> Outcome {
        let (id, outcome) = self.ended(request).await;
        self.undo(id).await;
        outcome
    }

    async fn recv(&mut self, request: Request) -> Vec<u8> {
        data(self.done(request).await)
    }

    /// Two unix sockets, connected with each other.
    async fn pair(&mut self, kind: v1::SocketType) -> (u64, u64) {
        let first = self.session.first_handle + 16 * (self.id + 1);
        let request = v1::CreateSocketPairRequest {
            domain_choice: Some(pair::DomainChoice::Domain(v1::Domain::Unix.into())),
            type_choice: Some(pair::TypeChoice::Type(kind.into())),
            new_first: first,
            new_second: first + 1,
            ..Default::default()
        };
        self.done(Request::CreateSocketPair(request)).await;
        (first, first + 1)
    }

    /// A TCP connection to a socket of the test's.
    async fn tcp(&mut self) -> (u64, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
        let handle = self.session.first_handle + 16 * (self.id + 1);
        self.done(tcp_socket(handle)).await;
        let address = listener.local_addr().expect("it has one").to_string();
        let address = v1::Address {
            form: Some(v1::address::Form::Text(address)),
        };
        self.done(Request::Connect(v1::ConnectRequest {
            handle,
            address: Some(address),
            ..Default::default()
        }))
        .await;
        (handle, listener.accept().expect("it is connected").0)
    }

    /// A listening TCP socket, and where it listens.
    async fn listener(&mut self) -> (u64, String) {
        let handle = self.session.first_handle + 16 * (self.id + 1);
        self.done(tcp_socket(handle)).await;
        self.done(bind(handle, "127.0.0.1:0")).await;
        self.done(listen(handle)).await;
        let name = v1::GetSocketNameRequest { handle };
        let Outcome::GetSocketName(name) = self.done(Request::GetSocketName(name)).await else {
            panic!("no name");
        };
        let Some(v1::address::Form::Ip(ip)) = name.address.and_then(|address| address.form) else {
            panic!("no address");
        };
        (handle, format!("127.0.0.1:{}", ip.port))
    }

    /// A bound UDP socket, and its port.
    async fn udp(&mut self) -> (u64, u16) {
        let handle = self.session.first_handle + 16 * (self.id + 1);
        let request = v1::CreateSocketRequest {
            domain_choice: Some(create::DomainChoice::Domain(v1::Domain::Inet.into())),
            type_choice: Some(create::TypeChoice::Type(v1::SocketType::Dgram.into())),
            new_handle: handle,
            ..Default::default()
        };
        self.done(Request::CreateSocket(request)).await;
        self.done(bind(handle, "127.0.0.1:0")).await;
        let name = v1::GetSocketNameRequest { handle };
        let Outcome::GetSocketName(name) = self.done(Request::GetSocketName(name)).await else {
            panic!("no name");
        };
        let Some(v1::address::Form::Ip(ip)) = name.address.and_then(|address| address.form) else {
            panic!("no address");
        };
        (handle, u16::try_from(ip.port).expect("a port"))
    }

    async fn socket(&mut self, handle: u64) -> v1::Socket {
        match self.done(get_socket(handle)).await {
            Outcome::GetSocket(report) => *report.socket.expect("it is told"),
            other => panic!("{other:?}"),
        }
    }

    /// Whether the socket is ready at this moment.
    async fn polled(&mut self, handle: u64, event: v1::PollEvent) -> bool {
        let request = v1::PollRequest {
            entries: vec![v1::PollEntry {
                handle,
                events: vec![event.into()],
            }],
            timeout: Some(prost_types::Duration::default()),
        };
        match self.done(Request::Poll(request)).await {
            Outcome::Poll(polled) => polled
                .ready
                .iter()
                .any(|ready| ready.events.contains(&event.into())),
            other => panic!("{other:?}"),
        }
    }
}

fn flagged(handle: u64, length: i64, flags: &[MessageFlag]) -> Request {
    Request::Recv(v1::RecvRequest {
        flags: flags.iter().map(|flag| (*flag).into()).collect(),
        ..recv_request(handle, length)
    })
}

fn messages(handle: u64, count: i32) -> Request {
    Request::RecvMessages(v1::RecvMessagesRequest {
        handle,
        max_messages: Some(count),
        length: Some(64),
        flags: vec![MessageFlag::Waitforone.into()],
        ..Default::default()
    })
}

fn payloads(outcome: Outcome) -> Vec<Vec<u8>> {
    let Outcome::RecvMessages(received) = outcome else {
        panic!("{outcome:?}");
    };
    let payload = |message: v1::ReceivedMessage| match message.payload {
        Some(v1::received_message::Payload::Data(data)) => data.to_vec(),
        other => panic!("{other:?}"),
    };
    received.messages.into_iter().map(payload).collect()
}

/// The handles that came with the only message, and how many sockets did not.
fn rights(outcome: Outcome) -> (Vec<u64>, u32) {
    let Outcome::RecvMessages(received) = outcome else {
        panic!("{outcome:?}");
    };
    let control = &received.messages[0].control;
    let Some(v1::control_message::Content::Rights(rights)) = &control[0].content else {
        panic!("{control:?}");
    };
    (rights.handles.clone(), rights.discarded)
}

fn accepted(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Accept(accepted) => accepted.handle,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_received_is_the_next_to_be_received_by_every_call() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Stream).await;
    scene.done(send(far, b"hello ")).await;
    let taken = scene.received_and_undone(recv(near, 64)).await;
    assert_eq!(data(taken), b"hello ");
    assert!(scene.polled(near, v1::PollEvent::In).await);
    let report = scene.socket(near).await;
    assert_eq!(report.receive_queue, Some(6));
    assert_eq!(report.counters.expect("they are told").bytes_received, 0);
    scene.done(send(far, b"world")).await;
    let taken = scene.received_and_undone(messages(near, 3)).await;
    assert_eq!(payloads(taken), [b"hello world"]);
    let peeked = flagged(near, 64, &[MessageFlag::Peek]);
    assert_eq!(scene.recv(peeked).await, b"hello world");
    assert_eq!(scene.recv(recv(near, 3)).await, b"hel");

    // A unary call, of another connection and without a session.
    let other = sockets(&scene.channel).recv(recv_request(near, 3)).await;
    let other = Outcome::Recv(other.expect("it is kept").into_inner());
    assert_eq!(data(other), b"lo ");
    let (there, end) = scene.pair(v1::SocketType::Stream).await;
    scene.done(shutdown(far)).await;
    scene.done(shutdown(end)).await;
    let splice = v1::SpliceRequest {
        first: near,
        second: there,
        timeout: None,
    };
    scene.done(Request::Splice(splice)).await;
    assert_eq!(scene.recv(recv(end, 64)).await, b"world");
}

fn shutdown(handle: u64) -> Request {
    Request::Shutdown(v1::ShutdownRequest {
        handle,
        how: v1::ShutdownHow::Write.into(),
    })
}

#[tokio::test]
async fn what_is_sent_behind_the_cancel_sees_what_it_gave_back() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Stream).await;
    // One that has ended, one that waits for more, and one that has taken nothing.
    scene.done(send(far, b"abc")).await;
    let (id, _) = scene.ended(recv(near, 64)).await;
    scene.stream.give_back(id);
    let next = scene.start(flagged(near, 64, &[MessageFlag::Dontwait]));
    assert_eq!(scene.stream.failed(id).await, "CANCELLED");
    assert_eq!(scene.stream.received(next).await, b"abc");

    for flags in [&[MessageFlag::Dontwait][..], &[]] {
        scene.done(send(far, b"def")).await;
        let waits = scene.id + 1;
        scene
            .stream
            .start_notified(waits, flagged(near, 64, &[MessageFlag::Waitall]));
        scene.id = waits;
        scene.stream.waiting(waits).await;
        scene.stream.give_back(waits);
        let next = scene.start(flagged(near, 64, flags));
        let mut ends = [scene.stream.next().await, scene.stream.next().await].map(|ended| {
            let v1::operate_response::Message::Ended(ended) = ended else {
                panic!("{ended:?}");
            };
            (ended.request_id, outcome(ended))
        });
        ends.sort_by_key(|(id, _)| *id);
        let [(_, cancelled), (id, received)] = ends;
        assert!(matches!(cancelled, Outcome::Error(error) if reason(&error) == "CANCELLED"));
        assert_eq!((id, data(received)), (next, b"def".to_vec()));
    }

    let waits = scene.id + 1;
    scene.stream.start_notified(waits, recv(near, 64));
    scene.id = waits;
    scene.stream.waiting(waits).await;
    scene.stream.give_back(waits);
    assert_eq!(scene.stream.failed(waits).await, "CANCELLED");
    scene.done(send(far, b"ghi")).await;
    assert_eq!(scene.recv(recv(near, 64)).await, b"ghi");
}

#[tokio::test]
async fn what_was_received_first_comes_first_whatever_is_given_back_first() {
    for kind in [v1::SocketType::Stream, v1::SocketType::Dgram] {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let mut scene = Scene::new().await;
            let (near, far) = scene.pair(kind).await;
            let mut ids = Vec::new();
            for part in ["one", "two", "six"] {
                scene.done(send(far, part.as_bytes())).await;
                let (id, _) = scene.ended(recv(near, 3)).await;
                ids.push(id);
            }
            for at in order {
                scene.undo(ids[at]).await;
                // Said again, it changes nothing.
                scene.stream.give_back(ids[at]);
            }
            // A part that is taken and given back is where it was.
            let taken = scene.received_and_undone(recv(near, 3)).await;
            assert_eq!(data(taken), b"one");
            let all = flagged(near, 64, &[MessageFlag::Dontwait]);
            match kind {
                v1::SocketType::Stream => assert_eq!(scene.recv(all).await, b"onetwosix"),
                _ => {
                    for part in ["one", "two", "six"] {
                        assert_eq!(scene.recv(recv(near, 64)).await, part.as_bytes());
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_receive_that_has_taken_later_bytes_and_waits_for_more_answers_in_order() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Stream).await;
    scene.done(send(far, b"abc")).await;
    let (first, _) = scene.ended(recv(near, 3)).await;
    scene.done(send(far, b"def")).await;
    let all = scene.id + 1;
    scene.id = all;
    let request = flagged(near, 7, &[MessageFlag::Waitall]);
    scene.stream.start_notified(all, request);
    scene.stream.waiting(all).await;
    scene.undo(first).await;
    let sent = scene.start(send(far, b"ghij"));
    let mut received = None;
    for _ in 0..2 {
        let v1::operate_response::Message::Ended(ended) = scene.stream.next().await else {
            panic!("no end");
        };
        if ended.request_id == all {
            received = Some(data(outcome(ended)));
        } else {
            assert_eq!(ended.request_id, sent);
        }
    }
    assert_eq!(received.expect("it has ended"), b"abcdefg");
    assert_eq!(scene.recv(recv(near, 64)).await, b"hij");
}

#[tokio::test]
async fn a_peek_takes_nothing_however_its_flag_is_given() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Dgram).await;
    scene.done(send(far, b"once")).await;
    let by_number = Request::Recv(v1::RecvRequest {
        raw_flags: 2,
        ..recv_request(near, 64)
    });
    for peek in [by_number, flagged(near, 64, &[MessageFlag::Peek])] {
        assert_eq!(data(scene.received_and_undone(peek).await), b"once");
    }
    assert_eq!(scene.recv(recv(near, 64)).await, b"once");
    let nothing = scene.start(flagged(near, 64, &[MessageFlag::Dontwait]));
    assert_eq!(scene.stream.failed(nothing).await, "EAGAIN");
}

#[tokio::test]
async fn a_datagram_still_has_its_sender_and_its_place_and_may_be_empty() {
    let mut scene = Scene::new().await;
    let (handle, port) = scene.udp().await;
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("it binds");
    for part in [&b"first"[..], b"", b"third"] {
        peer.send_to(part, ("127.0.0.1", port)).expect("it is sent");
    }
    // Recv does not ask for the sender.
    assert_eq!(
        data(scene.received_and_undone(recv(handle, 64)).await),
        b"first"
    );
    let from = Request::RecvFrom(v1::RecvFromRequest {
        handle,
        ..Default::default()
    });
    let Outcome::RecvFrom(received) = scene.received_and_undone(from).await else {
        panic!("no RecvFrom");
    };
    let sender = received.address.expect("it has a sender");
    let port = peer.local_addr().expect("it has one").port();
    assert!(matches!(sender.form, Some(v1::address::Form::Ip(ip)) if ip.port == u32::from(port)));
    let taken = scene.received_and_undone(messages(handle, 5)).await;
    assert_eq!(payloads(taken), [&b"first"[..], b"", b"third"]);
    let again = scene.done(messages(handle, 5)).await;
    assert_eq!(payloads(again), [&b"first"[..], b"", b"third"]);
}

#[tokio::test]
async fn the_urgent_byte_is_urgent_again() {
    let mut scene = Scene::new().await;
    let (near, peer) = scene.tcp().await;
    let send_urgent = |byte: &[u8]| {
        nix_send_urgent(&peer, byte);
    };
    send_urgent(b"!");
    let urgent = || flagged(near, 1, &[MessageFlag::Oob]);
    let wanted = Request::Poll(v1::PollRequest {
        entries: vec![v1::PollEntry {
            handle: near,
            events: vec![v1::PollEvent::Pri.into()],
        }],
        timeout: None,
    });
    scene.done(wanted).await;
    assert_eq!(data(scene.received_and_undone(urgent()).await), b"!");
    assert!(scene.polled(near, v1::PollEvent::Pri).await);
    let peek = flagged(near, 1, &[MessageFlag::Oob, MessageFlag::Peek]);
    assert_eq!(scene.recv(peek).await, b"!");
    assert_eq!(scene.recv(urgent()).await, b"!");
    let nothing = scene.start(urgent());
    assert_eq!(scene.stream.failed(nothing).await, "EINVAL");
}

fn nix_send_urgent(peer: &TcpStream, byte: &[u8]) {
    socket2::SockRef::from(peer)
        .send_out_of_band(byte)
        .expect("it is sent");
}

#[tokio::test]
async fn what_came_from_the_error_queue_is_in_the_error_queue_again() {
    let mut scene = Scene::new().await;
    let (handle, _) = scene.udp().await;
    scene
        .done(Request::SetOption(v1::SetOptionRequest {
            handle,
            name: Some(v1::set_option_request::Name::Option(
                v1::SocketOption::IpRecverr.into(),
            )),
            value: Some(v1::OptionValue {
                value: Some(v1::option_value::Value::Flag(true)),
            }),
        }))
        .await;
    // Nobody has this port any more.
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").expect("it binds");
    let address = closed.local_addr().expect("it has one").to_string();
    drop(closed);
    let to = v1::SendToRequest {
        handle,
        address: Some(v1::Address {
            form: Some(v1::address::Form::Text(address)),
        }),
        payload: Some(v1::send_to_request::Payload::Data("lost".into())),
        ..Default::default()
    };
    scene.done(Request::SendTo(to)).await;
    let wanted = Request::Poll(v1::PollRequest {
        entries: vec![v1::PollEntry {
            handle,
            events: vec![v1::PollEvent::In.into()],
        }],
        timeout: None,
    });
    scene.done(wanted).await;
    let errors = || flagged(handle, 64, &[MessageFlag::Errqueue]);
    // The kernel's error queue takes with MSG_PEEK, too.
    let peek = flagged(handle, 64, &[MessageFlag::Errqueue, MessageFlag::Peek]);
    for request in [errors(), peek] {
        let Outcome::Recv(received) = scene.received_and_undone(request).await else {
            panic!("no Recv");
        };
        assert!(received.flags.contains(&MessageFlag::Errqueue.into()));
        assert!(scene.polled(handle, v1::PollEvent::Err).await);
    }
    assert_eq!(scene.recv(errors()).await, b"lost");
    let nothing = scene.start(errors());
    assert_eq!(scene.stream.failed(nothing).await, "EAGAIN");
}

#[tokio::test]
async fn a_connection_is_the_next_to_be_accepted_in_whatever_mode_by_whomever() {
    let mut scene = Scene::new().await;
    let (listener, address) = scene.listener().await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        peers.push(TcpStream::connect(&address).expect("it listens"));
    }
    let (one, first) = scene.ended(accept(listener, 0)).await;
    let (two, second) = scene.ended(accept(listener, 0)).await;
    let numbers = [accepted(first), accepted(second)];
    scene.undo(two).await;
    scene.undo(one).await;
    for handle in numbers {
        let gone = scene.start(get_socket(handle));
        assert_eq!(scene.stream.failed(gone).await, "HANDLE_NOT_FOUND");
    }
    assert!(scene.polled(listener, v1::PollEvent::In).await);
    let counters = scene.socket(listener).await.counters;
    assert_eq!(counters.expect("they are told").connections_accepted, 0);
    let nonblocking = v1::AcceptRequest {
        handle: listener,
        nonblocking: true,
        ..Default::default()
    };
    let other = sockets(&scene.channel).accept(nonblocking).await;
    let other = other.expect("it is kept").into_inner();
    let port = peers[0].local_addr().expect("it has one").port();
    let peer = other.peer_address.and_then(|address| address.form);
    assert!(matches!(peer, Some(v1::address::Form::Ip(ip)) if ip.port == u32::from(port)));
    let nothing = scene.start(recv(other.handle, 8));
    assert_eq!(scene.stream.failed(nothing).await, "EAGAIN");
    let (id, third) = scene.ended(accept(listener, 0)).await;
    peers[1].write_all(b"second").expect("it is connected");
    assert_eq!(scene.recv(recv(accepted(third), 8)).await, b"second");

    // What is closed with its listener is reset, as what waits in the kernel is.
    scene.undo(id).await;
    scene.done(close(listener)).await;
    let reset = peers[1].read(&mut [0; 8]).expect_err("it is reset");
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn sockets_that_came_with_a_message_come_again_under_other_handles() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Dgram).await;
    let (kept, _kept_peer) = scene.pair(v1::SocketType::Dgram).await;
    let (lost, _lost_peer) = scene.pair(v1::SocketType::Dgram).await;
    let rights_of = |handles| v1::ControlMessage {
        content: Some(v1::control_message::Content::Rights(v1::Rights {
            handles,
            discarded: 0,
        })),
    };
    let message = v1::OutgoingMessage {
        payload: Some(v1::outgoing_message::Payload::Data("m".into())),
        control: vec![rights_of(vec![kept, lost])],
        ..Default::default()
    };
    scene
        .done(Request::SendMessages(v1::SendMessagesRequest {
            handle: far,
            messages: vec![message],
            ..Default::default()
        }))
        .await;
    let (id, first) = scene.ended(messages(near, 1)).await;
    let (first, discarded) = rights(first);
    assert_eq!((first.len(), discarded), (2, 0));
    // Of this one there is nothing to come again.
    scene.done(close(first[1])).await;
    scene.undo(id).await;
    let gone = scene.start(get_socket(first[0]));
    assert_eq!(scene.stream.failed(gone).await, "HANDLE_NOT_FOUND");
    let (second, discarded) = rights(scene.done(messages(near, 1)).await);
    assert_eq!((second.len(), discarded), (1, 1));
    assert_ne!(second[0], first[0]);
    scene.done(get_socket(second[0])).await;
}

#[tokio::test]
async fn what_was_made_is_closed_and_what_follows_fails() {
    let mut scene = Scene::new().await;
    let (id, created) = scene.ended(tcp_socket(0)).await;
    let Outcome::CreateSocket(created) = created else {
        panic!("no socket");
    };
    scene.undo(id).await;
    let gone = scene.start(get_socket(created.handle));
    assert_eq!(scene.stream.failed(gone).await, "HANDLE_NOT_FOUND");
    scene.id += 1;
    scene.stream.start_after(scene.id, id, tcp_socket(0));
    assert_eq!(scene.stream.failed(scene.id).await, "DEPENDENCY_FAILED");
    // What sends is not undone.
    let (near, far) = scene.pair(v1::SocketType::Dgram).await;
    let (id, _) = scene.ended(send(far, b"sent")).await;
    scene.stream.give_back(id);
    assert_eq!(scene.recv(recv(near, 8)).await, b"sent");
}

#[tokio::test]
async fn after_a_break_it_is_given_back_once_and_after_the_acknowledgement_not() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Dgram).await;
    scene.done(send(far, b"one")).await;
    let (id, _) = scene.ended(recv(near, 8)).await;
    for _ in 0..2 {
        scene.stream = Stream::attach(&scene.channel, &scene.session.session_id)
            .await
            .expect("it attaches");
        assert!(scene.stream.known.contains(&id));
        scene.stream.give_back(id);
        loop {
            let v1::operate_response::Message::Ended(ended) = scene.stream.next().await else {
                panic!("no end");
            };
            let is_undone = |ended| matches!(outcome(ended), Outcome::Error(error) if reason(&error) == "CANCELLED");
            if ended.request_id == id && is_undone(ended) {
                break;
            }
        }
    }
    scene.stream = Stream::attach(&scene.channel, &scene.session.session_id)
        .await
        .expect("it attaches");
    let known = scene.stream.known.clone();
    for id in &known {
        scene.stream.ended(*id).await;
    }
    scene.stream.acknowledge(known);
    scene.stream.give_back(id);
    assert_eq!(scene.stream.refused(id).await, "REQUEST_UNKNOWN");
    assert_eq!(scene.recv(recv(near, 8)).await, b"one");
    let nothing = scene.start(flagged(near, 8, &[MessageFlag::Dontwait]));
    assert_eq!(scene.stream.failed(nothing).await, "EAGAIN");
}

#[tokio::test]
async fn of_a_socket_that_was_closed_nothing_comes_back() {
    let mut scene = Scene::new().await;
    let (near, far) = scene.pair(v1::SocketType::Stream).await;
    scene.done(send(far, b"abc")).await;
    let (id, _) = scene.ended(recv(near, 8)).await;
    let (listener, address) = scene.listener().await;
    let mut peer = TcpStream::connect(&address).expect("it listens");
    let (accepting, _) = scene.ended(accept(listener, 0)).await;
    scene.done(close(near)).await;
    scene.done(close(listener)).await;
    scene.undo(id).await;
    scene.undo(accepting).await;
    let reset = peer.read(&mut [0; 8]).expect_err("it is reset");
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_a_session_took_of_anothers_socket_and_could_not_answer_is_the_others() {
    let mut scene = Scene::new().await;
    let request = v1::CreateSocketPairRequest {
        domain_choice: Some(pair::DomainChoice::Domain(v1::Domain::Unix.into())),
        type_choice: Some(pair::TypeChoice::Type(v1::SocketType::Stream.into())),
        ..Default::default()
    };
    let mut client = sockets(&scene.channel);
    let made = client
        .create_socket_pair(request)
        .await
        .expect("it is made");
    let v1::CreateSocketPairResponse { first, second, .. } = made.into_inner();
    client
        .send(send_request(second, b"abc"))
        .await
        .expect("connected");
    scene.id += 1;
    let all = flagged(first, 8, &[MessageFlag::Waitall]);
    scene.stream.start_notified(scene.id, all);
    scene.stream.waiting(scene.id).await;
    let session_id = scene.session.session_id.clone();
    let abort = false;
    let closing = v1::CloseSessionRequest { session_id, abort };
    let closed = sessions(&scene.channel).close_session(closing).await;
    closed.expect("it is open");
    let received = client.recv(recv_request(first, 8)).await;
    let received = Outcome::Recv(received.expect("it is there").into_inner());
    assert_eq!(data(received), b"abc");
}
