//! sendmsg(2) and sendmmsg(2).

use bytes::Bytes;
use farsock_proto::v1::{self, outgoing_message::Payload};

use crate::{
    ControlMessage, RemoteSocket, Result, SendOptions,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::SendMessagesRequest {
    type Response = v1::SendMessagesResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/SendMessages";
    const VERB: &'static str = "sendmmsg";
    const CARRIED: Option<Carried<Self>> = carried!(SendMessages);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// One message to send. Corresponds to struct msghdr (sendmsg(2)).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutgoingMessage {
    data: Bytes,
    address: Option<v1::Address>,
    control: Vec<ControlMessage>,
}

impl OutgoingMessage {
    /// A message to the socket's peer, without control messages.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Where to send it instead.
    #[must_use]
    pub fn to(mut self, address: impl Into<v1::Address>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Adds a control message.
    #[must_use]
    pub fn control(mut self, message: ControlMessage) -> Self {
        self.control.push(message);
        self
    }
}

impl RemoteSocket {
    /// Sends 1-1,024 messages, each with its own address and control messages, and tells how many
    /// bytes of each the kernel took. Corresponds to sendmmsg(2).
    ///
    /// Fewer entries than messages: an error kept the rest back; ask again with them to see it, as
    /// with sendmmsg(2).
    ///
    /// # Errors
    ///
    /// As of sendmsg(2) for the first message.
    pub async fn send_messages(&self, messages: Vec<OutgoingMessage>) -> Result<Vec<usize>> {
        self.send_messages_with(messages, SendOptions::default())
            .await
    }

    /// Sends messages with flags or a limit, for all of them. Corresponds to sendmmsg(2).
    ///
    /// # Errors
    ///
    /// As of [`send_messages`](Self::send_messages), and
    /// [`Reason::TimedOut`](crate::Reason::TimedOut) if no message was sent.
    pub async fn send_messages_with(
        &self,
        messages: Vec<OutgoingMessage>,
        options: SendOptions,
    ) -> Result<Vec<usize>> {
        let request = v1::SendMessagesRequest {
            handle: self.handle,
            messages: messages.into_iter().map(wire_message).collect(),
            flags: options.flags.to_wire(),
            raw_flags: options.flags.raw(),
            timeout: convert::timeout(options.timeout),
        };
        self.client
            .ask(request, |response| {
                response
                    .bytes_sent
                    .into_iter()
                    .map(|sent| convert::number("bytes_sent", sent))
                    .collect()
            })
            .await
    }
}

pub(crate) fn wire_message(message: OutgoingMessage) -> v1::OutgoingMessage {
    v1::OutgoingMessage {
        payload: Some(Payload::Data(message.data)),
        address: message.address,
        control: message.control.into_iter().map(Into::into).collect(),
    }
}
