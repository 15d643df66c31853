//! Connections of a listening socket, one after the other.

use farsock_proto::v1::{
    self, AcceptManyRequest, AcceptManyResponse, accept_many_request::Message as Say,
    accept_many_response::Message as Hear, stream_service_client::StreamServiceClient,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tonic::{Status, Streaming, transport::Channel};

use crate::support::{PATIENCE, channel, error_reason, messages, reason, socket, sockets};

pub(crate) struct Accepting {
    opened: v1::Opened,
    requests: mpsc::UnboundedSender<AcceptManyRequest>,
    responses: Streaming<AcceptManyResponse>,
}

impl Accepting {
    pub(crate) async fn open(channel: &Channel, open: v1::OpenAcceptMany) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let first = AcceptManyRequest {
            message: Some(Say::Open(open)),
        };
        requests.send(first).expect("a receiver");
        let mut client = StreamServiceClient::new(channel.clone());
        let responses = client.accept_many(messages(receiver)).await?;
        let mut this = Self {
            opened: v1::Opened::default(),
            requests,
            responses: responses.into_inner(),
        };
        match this.next().await? {
            Hear::Opened(opened) => Ok(Self { opened, ..this }),
            Hear::Accepted(_) => panic!("accepted before it is opened"),
        }
    }

    async fn next(&mut self) -> Result<Hear, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        let next = next.expect("a message in time")?.expect("more");
        Ok(next.message.expect("something said"))
    }

    /// The next so many connections.
    pub(crate) async fn accepted(&mut self, count: usize) -> Vec<u64> {
        let mut handles = Vec::new();
        while handles.len() < count {
            let Ok(Hear::Accepted(accepted)) = self.next().await else {
                panic!("no connection");
            };
            assert_eq!(accepted.error, None);
            handles.extend(accepted.connections.iter().map(|one| one.handle));
        }
        assert_eq!(handles.len(), count);
        handles
    }

    pub(crate) fn credit(&self, received: u64, limit: u64) {
        let credit = v1::Credit {
            received,
            limit,
            ..Default::default()
        };
        let message = Some(Say::Credit(credit));
        let _ = self.requests.send(AcceptManyRequest { message });
    }
}

/// A listening socket of the daemon's, and where it listens.
pub(crate) async fn listening(channel: &Channel) -> (u64, String) {
    let handle = socket(channel, v1::SocketType::Stream).await;
    let bind = v1::BindRequest {
        handle,
        address: Some(v1::Address::from("127.0.0.1:0")),
    };
    let bound = sockets(channel).bind(bind).await.expect("a port");
    let bound = bound.into_inner().local_address;
    let address = farsock_proto::address::Address::from_wire(bound.expect("it"), &|_| None);
    let listen = v1::ListenRequest {
        handle,
        ..Default::default()
    };
    sockets(channel).listen(listen).await.expect("it listens");
    (handle, address.expect("an address").to_string())
}

pub(crate) fn opening(handle: u64, window: u64) -> v1::OpenAcceptMany {
    v1::OpenAcceptMany {
        handle,
        window,
        ..Default::default()
    }
}

#[tokio::test]
async fn connections_come_as_they_are_granted_and_work() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address) = listening(&channel).await;
    let mut accepting = Accepting::open(&channel, opening(handle, 2)).await.unwrap();
    let mut peers = Vec::new();
    for _ in 0..5 {
        peers.push(TcpStream::connect(&address).await.unwrap());
    }
    let first = accepting.accepted(2).await;
    let accept = v1::AcceptRequest {
        handle,
        ..Default::default()
    };
    let refused = sockets(&channel).accept(accept).await.unwrap_err();
    assert_eq!(reason(&refused), "STREAM_IN_USE");
    accepting.credit(1, 5);
    let rest = accepting.accepted(3).await;

    // The break costs nothing: what is not acknowledged comes again.
    drop(accepting);
    let mut again = loop {
        match Accepting::open(&channel, opening(handle, 10)).await {
            Ok(again) => break again,
            Err(status) => assert_eq!(reason(&status), "STREAM_IN_USE"),
        }
    };
    assert_eq!(again.opened.receive_offset, 1);
    let known = again.accepted(4).await;
    assert_eq!(known, [&first[1..], &rest].concat());
    peers[4].write_all(b"hello").await.unwrap();
    let recv = v1::RecvRequest {
        handle: rest[2],
        ..Default::default()
    };
    sockets(&channel).recv(recv).await.unwrap();
    let send = v1::SendRequest {
        handle: rest[2],
        payload: Some(v1::send_request::Payload::Data("x".into())),
        ..Default::default()
    };
    sockets(&channel).send(send).await.unwrap();
    assert_eq!(peers[4].read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn an_error_is_told_once_and_again_when_it_was_acknowledged() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let handle = socket(&channel, v1::SocketType::Stream).await;
    let mut accepting = Accepting::open(&channel, opening(handle, 10))
        .await
        .unwrap();
    for round in 1..3 {
        let Ok(Hear::Accepted(accepted)) = accepting.next().await else {
            panic!("no error");
        };
        assert_eq!(accepted.connections, []);
        assert_eq!(error_reason(&accepted.error.unwrap()), "EINVAL");
        accepting.credit(round, 10);
    }
}

#[tokio::test]
async fn a_window_beyond_all_bounds_and_an_unknown_handle_are_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _) = listening(&channel).await;
    let refused = Accepting::open(&channel, opening(handle, 65_537)).await;
    assert_eq!(reason(&refused.err().unwrap()), "INVALID_REQUEST");
    let refused = Accepting::open(&channel, opening(handle + 1, 1)).await;
    assert_eq!(reason(&refused.err().unwrap()), "HANDLE_NOT_FOUND");
}

#[tokio::test]
async fn an_opening_that_was_delayed_is_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _address) = listening(&channel).await;
    let open = |attempt| v1::OpenAcceptMany {
        stream_id: 9,
        attempt,
        ..opening(handle, 2)
    };
    let _second = Accepting::open(&channel, open(2)).await.unwrap();
    let refused = Accepting::open(&channel, open(1)).await.err();
    assert_eq!(reason(&refused.unwrap()), "STREAM_TAKEN");
    Accepting::open(&channel, open(3)).await.unwrap();
}
