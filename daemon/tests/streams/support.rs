//! What the tests share: connections to a daemon, sockets on it, and a raw stream, message by message.

use std::time::Duration;

use bytes::Bytes;
use farsock_daemon::Embedded;
use farsock_proto::v1::{
    self, FinishSending, OpenStream, Opened, StreamRequest, StreamResponse,
    socket_service_client::SocketServiceClient, stream_request::Message as Say,
    stream_response::Message as Hear, stream_service_client::StreamServiceClient,
};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// How long anything may take before its test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of its own to a daemon in this process.
pub(crate) async fn channel(daemon: &Embedded) -> Channel {
    let connector = daemon.connector();
    let connector = tower::service_fn(move |_| {
        let opening = connector();
        async move { opening.await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .connect_with_connector(connector)
        .await
        .expect("it is served")
}

pub(crate) fn sockets(channel: &Channel) -> SocketServiceClient<Channel> {
    SocketServiceClient::new(channel.clone())
}

/// A TCP socket of the daemon's.
pub(crate) async fn socket(channel: &Channel, kind: v1::SocketType) -> u64 {
    use v1::create_socket_request::{DomainChoice, TypeChoice};
    let request = v1::CreateSocketRequest {
        domain_choice: Some(DomainChoice::Domain(v1::Domain::Inet.into())),
        type_choice: Some(TypeChoice::Type(kind.into())),
        ..Default::default()
    };
    let created = sockets(channel).create_socket(request).await;
    created.expect("a socket").into_inner().handle
}

/// A TCP socket of the daemon's, connected with one of the test's.
pub(crate) async fn connected(channel: &Channel) -> (u64, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let handle = socket(channel, v1::SocketType::Stream).await;
    let request = v1::ConnectRequest {
        handle,
        address: Some(v1::Address::from(address.as_str())),
        ..Default::default()
    };
    sockets(channel)
        .connect(request)
        .await
        .expect("it connects");
    (handle, listener.accept().await.expect("a connection").0)
}

/// SO_TIMESTAMPING's SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE, _OPT_ID and _OPT_TSONLY: an entry of the error queue for each transmission.
pub(crate) const TRANSMISSIONS: i32 = (1 << 1) | (1 << 4) | (1 << 7) | (1 << 11);

/// Sets an option of one int, by level and number.
pub(crate) async fn set(channel: &Channel, handle: u64, (level, number): (i32, i32), value: i32) {
    use v1::{option_value::Value, set_option_request::Name};
    let request = v1::SetOptionRequest {
        handle,
        name: Some(Name::RawOption(v1::RawOption { level, number })),
        value: Some(v1::OptionValue {
            value: Some(Value::Integer(value.into())),
        }),
    };
    sockets(channel)
        .set_option(request)
        .await
        .expect("an option");
}

/// Reads an option of one int, by level and number.
pub(crate) async fn get(channel: &Channel, handle: u64, (level, number): (i32, i32)) -> i32 {
    use v1::{get_option_request::Name, option_value::Value};
    let request = v1::GetOptionRequest {
        handle,
        name: Some(Name::RawOption(v1::RawOption { level, number })),
        ..Default::default()
    };
    let value = sockets(channel)
        .get_option(request)
        .await
        .expect("an option");
    match value.into_inner().value.and_then(|value| value.value) {
        Some(Value::Raw(bytes)) => i32::from_ne_bytes(*bytes.first_chunk().expect("an int")),
        other => panic!("{other:?}"),
    }
}

/// The opening of a handle's stream with that window.
pub(crate) fn opening(handle: u64, window: u64) -> OpenStream {
    OpenStream {
        handle,
        window,
        ..Default::default()
    }
}

pub(crate) fn credit(received: u64, limit: u64) -> Say {
    Say::Credit(v1::Credit {
        received,
        limit,
        ..Default::default()
    })
}

/// A client's messages as they come.
pub(crate) fn messages<T: Send + 'static>(
    receiver: mpsc::UnboundedReceiver<T>,
) -> impl futures_util::Stream<Item = T> + Send + 'static {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    })
}

/// An open stream, message by message.
pub(crate) struct Stream {
    pub(crate) opened: Opened,
    requests: Option<mpsc::UnboundedSender<StreamRequest>>,
    responses: Streaming<StreamResponse>,
}

impl Stream {
    pub(crate) async fn open(channel: &Channel, open: OpenStream) -> Result<Self, Status> {
        Self::begin(channel, [Say::Open(open)]).await
    }

    /// Begins a stream with any messages.
    pub(crate) async fn begin(
        channel: &Channel,
        first: impl IntoIterator<Item = Say>,
    ) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::unbounded_channel();
        for message in first {
            let message = Some(message);
            requests
                .send(StreamRequest { message })
                .expect("a receiver");
        }
        let client = StreamServiceClient::new(channel.clone());
        let mut responses = client
            .max_decoding_message_size(8 << 20)
            .stream(messages(receiver))
            .await?
            .into_inner();
        let first = timeout(PATIENCE, responses.message()).await;
        match first.expect("an answer")?.and_then(|first| first.message) {
            Some(Hear::Opened(opened)) => Ok(Self {
                opened,
                requests: Some(requests),
                responses,
            }),
            other => panic!("{other:?} is no Opened"),
        }
    }

    pub(crate) fn say(&self, message: Say) {
        let message = Some(message);
        if let Some(requests) = &self.requests {
            // A stream that has ended is found out by reading.
            let _ = requests.send(StreamRequest { message });
        }
    }

    pub(crate) fn send(&self, data: impl Into<Bytes>) {
        self.say(Say::Data(data.into()));
    }

    pub(crate) fn finish(&self, offset: u64) {
        self.say(Say::Finish(FinishSending { offset }));
    }

    /// Ends this side of the call.
    pub(crate) fn end(&mut self) {
        self.requests = None;
    }

    /// The next message; none at the end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Hear>, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await;
        Ok(next
            .expect("a message in time")?
            .map(|next| next.message.expect("something said")))
    }

    pub(crate) async fn next(&mut self) -> Hear {
        self.try_next().await.expect("it is open").expect("more")
    }

    /// The next so many bytes, with nothing but credit between them.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Hear::Data(data) => all.extend_from_slice(&data),
                Hear::Credit(_) => {}
                other => panic!("{other:?} after {} bytes", all.len()),
            }
        }
        assert_eq!(all.len(), count, "no more than there is");
        all
    }

    /// Reads until all that was sent up to `offset` was taken; returns the last limit.
    pub(crate) async fn taken(&mut self, offset: u64) -> u64 {
        loop {
            match self.next().await {
                Hear::Credit(credit) if credit.taken == offset => return credit.limit,
                Hear::Credit(credit) => assert!(credit.taken < offset),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads on to the end of the receiving direction: its bytes, where it ended, and the error's reason.
    pub(crate) async fn receiving_end(&mut self) -> (Vec<u8>, u64, Option<String>) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Hear::Data(data) => all.extend_from_slice(&data),
                Hear::ReceivingEnded(end) => {
                    return (all, end.offset, end.error.map(|error| error_reason(&error)));
                }
                _ => {}
            }
        }
    }

    /// Reads on to the end of the sending direction: where it ended, and the error's reason.
    pub(crate) async fn sending_end(&mut self) -> (u64, Option<String>) {
        loop {
            if let Hear::SendingEnded(end) = self.next().await {
                return (end.offset, end.error.map(|error| error_reason(&error)));
            }
        }
    }

    /// Reads on to the end of the call: why it ended, or none if it ended in order.
    pub(crate) async fn end_reason(&mut self) -> Option<String> {
        loop {
            match self.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(reason(&status)),
            }
        }
    }
}

pub(crate) fn reason(status: &Status) -> String {
    match status.get_details_error_info() {
        Some(info) => info.reason,
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}

pub(crate) fn error_reason(error: &v1::OperationError) -> String {
    error
        .details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"))
        .and_then(|any| tonic_types::pb::ErrorInfo::decode(any.value.as_slice()).ok())
        .expect("a reason")
        .reason
}

/// Bytes that look like nothing in particular, the same for the same seed.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// Numbers of a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
