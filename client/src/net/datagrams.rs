//! Datagrams in batches.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Poll, ready},
};

use farsock_proto::{
    Violation,
    v1::{self, address::Form, outgoing_message::Payload},
};
use tokio::sync::Mutex;

use crate::{
    Address, Error, OutgoingMessage, ReceivedMessage, RemoteSocket, Result,
    flow::{Flow, Outgoing, datagrams::DatagramFlow},
    socket::send_messages::wire_message,
};

/// The longest datagram that the daemon takes, in bytes.
const LONGEST: usize = 65_536;
/// How many datagrams are given at once.
const LOT: usize = 64;

/// How to receive datagrams in batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramsOptions {
    /// How many bytes of each datagram at most, 1-65,536; `None` (default): 65,536. What is longer is cut off, and told by
    /// [`MessageFlags::TRUNC`](crate::MessageFlags::TRUNC).
    pub length: Option<u32>,
    /// Room for each datagram's control messages in bytes of the kernel's layout, 0-16,384. Default: 0, none are received.
    pub control_length: u32,
    /// Whether entries of the socket's error queue come as well, each as a message with
    /// [`MessageFlags::ERRQUEUE`](crate::MessageFlags::ERRQUEUE) and its control messages, for which there is room. Default: no; a receive
    /// with that flag on the socket itself returns them.
    pub errors: bool,
}

/// The datagrams of a socket, in batches and both ways: for many of them, where
/// [`send_to`](crate::UdpSocket::send_to) and [`recv_from`](crate::UdpSocket::recv_from) would cost a round trip each. See
/// [`RemoteSocket::datagrams`].
///
/// Up to 512 KiB of datagrams wait here to be sent, and up to 1 MiB to be received, 64 bytes for each datagram counted. They
/// survive the connection to the daemon, each exactly once. While it is there, sends and receives on the socket itself are
/// refused as [`Reason::StreamInUse`](crate::Reason::StreamInUse), but for receives of the error queue.
///
/// Dropping it sends what was given, as long as the socket is not closed: see [`flush`](Self::flush). Datagrams that were
/// received and not taken are lost.
#[derive(Debug)]
pub struct Datagrams {
    flow: Arc<Flow<DatagramFlow>>,
    // They guard nothing, and exist to be waited for: one sends at a time, and one receives.
    sending: Mutex<()>,
    receiving: Mutex<()>,
}

impl Datagrams {
    fn new(socket: &RemoteSocket, options: &DatagramsOptions) -> Self {
        let kind = DatagramFlow {
            handle: socket.handle(),
            length: options.length.unwrap_or(0),
            control_length: options.control_length,
            errors: options.errors,
            ..DatagramFlow::default()
        };
        Self {
            flow: Flow::start(socket, kind),
            sending: Mutex::default(),
            receiving: Mutex::default(),
        }
    }

    /// Sends datagrams, in order, each of at most 65,536 bytes. Returns when all of them have room here; the kernel sends them soon
    /// after. Corresponds to sendmmsg(2).
    ///
    /// What was taken of the batch is sent, and nothing else, even if the future is dropped or an error ends it: the batch may be an
    /// iterator, `&mut messages`, and what is left of it may be sent later.
    ///
    /// # Errors
    ///
    /// What one of the datagrams before met, such as EMSGSIZE or ECONNREFUSED: each failure once and in their order, as a local
    /// socket's send tells a failure of one before. Those after it were sent all the same; of this batch nothing was taken yet, unless
    /// it is long: there a failure may come between two of its datagrams. What only the daemon can find invalid is such a failure too,
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) with the field of the message, such as `control[0].ttl`, or
    /// `address.text` for a zone that the daemon's host has not.
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a datagram of the batch that is too long, or whose address is none, told
    /// at once and by its place, such as `batch[2].data`: it is not sent.
    pub async fn send(&self, batch: impl IntoIterator<Item = OutgoingMessage>) -> Result<()> {
        let mut batch = batch.into_iter().enumerate();
        let _turn = self.sending.lock().await;
        poll_fn(|context| {
            while batch.size_hint() != (0, Some(0)) {
                let given = self
                    .flow
                    .poll_send(context, |outgoing| give(&mut batch, outgoing));
                if ready!(given)?.unwrap_or(Ok(Given::All))? == Given::All {
                    break;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits until the kernel has taken all that was given.
    ///
    /// # Errors
    ///
    /// As of [`send`](Self::send).
    pub async fn flush(&self) -> Result<()> {
        let _turn = self.sending.lock().await;
        poll_fn(|context| self.flow.poll_taken(context)).await
    }

    /// Receives the next datagrams: one at least, and those that came with it. Corresponds to recvmmsg(2). Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    ///
    /// What receiving met, such as ECONNREFUSED of a connected socket, once each; receiving goes on. It receives ahead, and so such
    /// an error, which a local socket keeps for the next call, is mostly told here: who only sends, and must know of it, calls this as
    /// well.
    pub async fn recv(&self) -> Result<Vec<ReceivedMessage>> {
        let _turn = self.receiving.lock().await;
        let taken = poll_fn(|context| {
            self.flow.poll_receive(context, |queue| {
                let Some((received, left)) = queue.front_mut() else {
                    return (Ok(Vec::new()), 0);
                };
                let (taken, cost, all) = received.take();
                *left -= cost;
                if all {
                    queue.pop_front();
                }
                (taken, cost)
            })
        });
        taken.await?.unwrap_or_else(|| Ok(Vec::new()))
    }

    /// How many datagrams for this socket the kernel has dropped so far, most often because its receive buffer was full
    /// (SO_RXQ_OVFL, SO_MEMINFO). What was dropped just now is known some 20 ms later.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.flow.kind().dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.flow.release(None);
    }
}

/// How much of a batch was given.
#[derive(PartialEq)]
enum Given {
    All,
    Some,
}

/// Gives one lot of the batch, so that little more waits than there is room for.
fn give(
    batch: &mut impl Iterator<Item = (usize, OutgoingMessage)>,
    outgoing: &mut Outgoing<'_, DatagramFlow>,
) -> Result<Given> {
    for _ in 0..LOT {
        let Some((at, message)) = batch.next() else {
            return Ok(Given::All);
        };
        let message = wire_message(message);
        check(&message).map_err(|violation| {
            Error::invalid_request(violation.within(&format!("batch[{at}]")))
        })?;
        outgoing.give(&message);
    }
    Ok(Given::Some)
}

/// Checks what needs no daemon, so that it is told at once: the rest comes back as a failure of the datagram.
fn check(message: &v1::OutgoingMessage) -> Result<(), Violation> {
    if let Some(Payload::Data(data)) = &message.payload
        && data.len() > LONGEST
    {
        let description = format!("{} bytes are over {LONGEST}", data.len());
        return Err(Violation::new("data", description));
    }
    match &message.address {
        // Internet addresses come from std's, which can say nothing wrong.
        None
        | Some(v1::Address {
            form: Some(Form::Ip(_)),
        }) => Ok(()),
        // A zone's name is the daemon's to know.
        Some(address) => Address::from_wire(address.clone(), &|_| Some(1))
            .map(drop)
            .map_err(|violation| violation.within("address")),
    }
}

impl RemoteSocket {
    /// Sends and receives in batches from now on, until the [`Datagrams`] are dropped. For every socket whose messages have bounds: of
    /// datagrams, SOCK_SEQPACKET and SOCK_RAW.
    ///
    /// Does not wait for the daemon: what it refuses shows at a receive, a flush, or a later send. That is
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) of a stream socket, and
    /// [`Reason::StreamInUse`](crate::Reason::StreamInUse) if others are there already, or calls wait on the socket.
    #[must_use]
    pub fn datagrams(&self, options: &DatagramsOptions) -> Datagrams {
        Datagrams::new(self, options)
    }
}

/// The way to batches.
macro_rules! batches {
    ($type:ident) => {
        impl $type {
            /// Sends and receives in batches: see [`RemoteSocket::datagrams`](crate::RemoteSocket::datagrams).
            #[must_use]
            pub fn datagrams(&self, options: &crate::DatagramsOptions) -> crate::Datagrams {
                self.socket.datagrams(options)
            }
        }
    };
}
pub(super) use batches;
