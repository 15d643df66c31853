//! Datagrams in batches.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Poll, ready},
};

use tokio::sync::Mutex;

use crate::{
    OutgoingMessage, ReceivedMessage, RemoteSocket, Result,
    flow::{Flow, datagrams::DatagramFlow},
    socket::send_messages::wire_message,
};

/// How to receive datagrams in batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramsOptions {
    /// How many bytes of each datagram at most, 1-65,536; `None` (default): 65,536. What is longer is cut off, and told by
    /// [`MessageFlags::TRUNC`](crate::MessageFlags::TRUNC).
    pub length: Option<u32>,
    /// Room for each datagram's control messages in bytes of the kernel's layout, 0-16,384. Default: 0, none are received.
    pub control_length: u32,
}

/// The datagrams of a socket, in batches and both ways: for many of them, where
/// [`send_to`](crate::UdpSocket::send_to) and [`recv_from`](crate::UdpSocket::recv_from) would cost a round trip each. See
/// [`UdpSocket::datagrams`](crate::UdpSocket::datagrams).
///
/// Up to 512 KiB of datagrams wait here to be sent, and up to 1 MiB to be received, 64 bytes for each datagram counted. They
/// survive the connection to the daemon, each exactly once. While it is there, sends and receives on the socket itself are
/// refused as [`Reason::StreamInUse`](crate::Reason::StreamInUse).
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
    pub(super) fn new(socket: &RemoteSocket, options: &DatagramsOptions) -> Self {
        let kind = DatagramFlow {
            handle: socket.handle(),
            length: options.length.unwrap_or(0),
            control_length: options.control_length,
            ..DatagramFlow::default()
        };
        Self {
            flow: Flow::start(socket, kind),
            sending: Mutex::default(),
            receiving: Mutex::default(),
        }
    }

    /// Sends datagrams, in order. Returns when all of them have room here; the kernel sends them soon after. Corresponds to
    /// sendmmsg(2).
    ///
    /// Dropping the future loses those of the batch that had no room yet.
    ///
    /// # Errors
    ///
    /// What one of the datagrams before met, such as EMSGSIZE or ECONNREFUSED: each failure once, as a local socket's send tells
    /// a failure of one before. Those after it were sent all the same, of this batch nothing; send it again.
    pub async fn send(&self, batch: impl IntoIterator<Item = OutgoingMessage>) -> Result<()> {
        let mut batch = batch.into_iter().map(wire_message).peekable();
        let _turn = self.sending.lock().await;
        poll_fn(|context| {
            while batch.peek().is_some() {
                let given = self.flow.poll_send(context, |outgoing| {
                    // One lot at a time, so that little more waits than there is room for.
                    for message in batch.by_ref().take(64) {
                        outgoing.give(&message);
                    }
                });
                ready!(given)?;
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
    /// What receiving met, such as ECONNREFUSED of a connected socket, once each; receiving goes on.
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

    /// How many datagrams the kernel has dropped because the socket's receive buffer was full, as far as it has told with those
    /// that came (SO_RXQ_OVFL).
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

/// The way to batches.
macro_rules! batches {
    ($type:ident) => {
        impl $type {
            /// Sends and receives in batches from now on, until the [`Datagrams`](crate::Datagrams) are dropped. Asks the daemon
            /// nothing yet: what it refuses shows at the first use.
            #[must_use]
            pub fn datagrams(&self, options: &crate::DatagramsOptions) -> crate::Datagrams {
                crate::Datagrams::new(&self.socket, options)
            }
        }
    };
}
pub(super) use batches;
