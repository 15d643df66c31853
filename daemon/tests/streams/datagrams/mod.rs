//! Datagrams both ways.

mod failing;
mod invalid;
mod passing;

use std::net::SocketAddr;

use farsock_proto::v1::{
    self, DatagramsRequest, DatagramsResponse, OpenDatagrams, OperationError,
    datagrams_request::Message as Say, datagrams_response::Message as Hear,
    stream_service_client::StreamServiceClient,
};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};
use tonic::{Status, Streaming, transport::Channel};

use crate::support::{PATIENCE, messages, reason, socket, sockets};

pub(crate) struct Datagrams {
    opened: v1::Opened,
    requests: mpsc::UnboundedSender<DatagramsRequest>,
    responses: Streaming<DatagramsResponse>,
}

impl Datagrams {
    pub(crate) async fn open(channel: &Channel, open: OpenDatagrams) -> Result<Self, Status> {
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

    /// Opens it as soon as the daemon has noticed that who had it before is gone.
    pub(crate) async fn again(channel: &Channel, open: OpenDatagrams) -> Self {
        loop {
            match Self::open(channel, open).await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(reason(&status), "STREAM_IN_USE"),
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Hear, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        let next = next.expect("a message in time")?.expect("more");
        Ok(next.message.expect("something said"))
    }

    fn say(&self, message: Say) {
        let message = Some(message);
        let _ = self.requests.send(DatagramsRequest { message });
    }

    pub(crate) fn send(&self, messages: impl IntoIterator<Item = v1::OutgoingMessage>) {
        let messages = messages.into_iter().collect();
        self.say(Say::Send(v1::SendDatagrams { messages }));
    }

    pub(crate) fn credit(&self, received: u64, limit: u64, failures_heard: u64) {
        self.say(Say::Credit(v1::Credit {
            received,
            limit,
            failures_heard,
            ..Default::default()
        }));
    }

    /// The next so many datagrams.
    pub(crate) async fn received(&mut self, count: usize) -> Vec<v1::ReceivedMessage> {
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

    /// The next datagram that could not be sent, with nothing but credit before it: where it ends, and why.
    pub(crate) async fn send_failed(&mut self) -> (u64, OperationError) {
        loop {
            match self.next().await {
                Ok(Hear::SendFailed(failed)) => {
                    return (failed.offset, failed.error.expect("a reason"));
                }
                Ok(Hear::Credit(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads until all that was sent up to `offset` was taken or has failed, with nothing but credit on the way.
    pub(crate) async fn taken(&mut self, offset: u64) {
        loop {
            match self.next().await {
                Ok(Hear::Credit(credit)) if credit.taken == offset => return,
                Ok(Hear::Credit(credit)) => assert!(credit.taken < offset),
                other => panic!("{other:?}"),
            }
        }
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
pub(crate) async fn bound(channel: &Channel) -> (u64, SocketAddr, UdpSocket) {
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

pub(crate) fn opening(handle: u64, window: u64) -> OpenDatagrams {
    OpenDatagrams {
        handle,
        window,
        ..Default::default()
    }
}

pub(crate) fn to(address: &str, data: &[u8]) -> v1::OutgoingMessage {
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
