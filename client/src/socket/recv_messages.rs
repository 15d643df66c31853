//! recvmsg(2) and recvmmsg(2).

use std::time::Duration;

use bytes::Bytes;
use farsock_proto::{Violation, v1};

use crate::{
    Address, ControlMessage, MessageFlags, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::RecvMessagesRequest {
    type Response = v1::RecvMessagesResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/RecvMessages";
    const VERB: &'static str = "recvmmsg";
    const CARRIED: Option<Carried<Self>> = carried!(RecvMessages);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How many messages to receive, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecvMessagesOptions {
    /// How many messages at most, 1-1,024; `None` (default): 1.
    pub max_messages: Option<usize>,
    /// How many bytes of each message at most; `None` (default): 65,536, or less so that all of
    /// them stay within [`Limits::max_payload_bytes`](crate::Limits).
    pub length: Option<usize>,
    /// Room for each message's control messages in bytes of the kernel's layout, 0-16,384; `None`
    /// (default): 1,024. What does not fit is cut off and told by [`MessageFlags::CTRUNC`].
    pub control_length: Option<usize>,
    /// MSG_* flags. Default: none. Without WAITFORONE or DONTWAIT the call waits for all
    /// `max_messages`.
    pub flags: MessageFlags,
    /// How long to wait at most; `None` (default): for ever; zero: not at all. With at least one
    /// message received it ends the call well; else it is
    /// [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub timeout: Option<Duration>,
}

/// One message received. Corresponds to struct msghdr (recvmsg(2)).
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedMessage {
    /// The bytes.
    pub data: Bytes,
    /// The sender's address, if the kernel tells it.
    pub address: Option<Address>,
    /// Whether a stream or seqpacket peer has ended its side.
    pub end_of_stream: bool,
    /// Flags of the received message: TRUNC, CTRUNC, OOB, EOR ...
    pub flags: MessageFlags,
    /// The message's whole length in bytes: more than `data` has if it was truncated. If SO_PEEK_OFF
    /// is set (not negative), it is what recv(2) returned for the flags of the call.
    pub full_length: u64,
    /// Its control messages, in the kernel's order. Handles in SCM_RIGHTS are this client's to
    /// close: see [`Client::adopt`](crate::Client::adopt).
    pub control: Vec<ControlMessage>,
}

impl RemoteSocket {
    /// Receives messages with their control messages. Corresponds to recvmmsg(2).
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv) if no message was received, and
    /// [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn recv_messages(
        &self,
        options: RecvMessagesOptions,
    ) -> Result<Vec<ReceivedMessage>> {
        let request = v1::RecvMessagesRequest {
            handle: self.handle,
            max_messages: options.max_messages.map(convert::wire_count),
            length: options.length.map(convert::wire_length),
            control_length: options.control_length.map(convert::wire_count),
            flags: options.flags.to_wire(),
            raw_flags: options.flags.raw(),
            timeout: convert::timeout(options.timeout),
            as_text: false,
        };
        self.client
            .ask(request, |response| {
                response.messages.into_iter().map(message).collect()
            })
            .await
    }
}

pub(crate) fn message(wire: v1::ReceivedMessage) -> Result<ReceivedMessage, Violation> {
    Ok(ReceivedMessage {
        data: wire.payload.map(Bytes::from).unwrap_or_default(),
        address: convert::optional_address("messages.address", wire.address)?,
        end_of_stream: wire.end_of_stream,
        flags: convert::flags(&wire.flags),
        full_length: wire.full_length,
        control: wire
            .control
            .into_iter()
            .map(convert::control_message)
            .collect::<Result<_, _>>()
            .map_err(|violation| violation.within("messages.control"))?,
    })
}
