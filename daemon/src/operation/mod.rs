//! Operations: what clients ask for, one verb a file. Every door builds the same operations and calls the same [`execute`].

mod accept;
mod bind;
mod close;
mod connect;
mod create_socket;
mod create_socket_pair;
mod get_option;
mod get_peer_name;
mod get_socket;
mod get_socket_name;
mod list_sockets;
mod listen;
mod poll;
mod received_message;
mod recv;
mod recv_from;
mod recv_messages;
mod send;
mod send_messages;
mod send_to;
mod set_option;
mod shutdown;

use std::sync::Arc;

use tracing::Instrument;

pub(crate) use self::{
    accept::{Accept, Accepted},
    bind::Bind,
    close::Close,
    connect::Connect,
    create_socket::CreateSocket,
    create_socket_pair::CreateSocketPair,
    get_option::GetOption,
    get_peer_name::GetPeerName,
    get_socket::{GetSocket, SocketReport},
    get_socket_name::GetSocketName,
    list_sockets::{ListSockets, SocketPage},
    listen::Listen,
    poll::{Poll, Ready},
    received_message::ReceivedMessage,
    recv::Recv,
    recv_from::RecvFrom,
    recv_messages::RecvMessages,
    send::Send,
    send_messages::{OutgoingMessage, SendMessages},
    send_to::SendTo,
    set_option::SetOption,
    shutdown::Shutdown,
};
/// What the doors need to know of the layers below: events and states are plain data, and zones are names of this host.
pub(crate) use crate::sys::{
    address::zone as interface_index,
    socket::{Events, State},
};
use crate::{
    engine::{Engine, Owner},
    error::Result,
    socket::Socket,
    table::Handle,
};

/// The largest payload of one operation, in bytes: a gRPC message of the usual limit (4 MiB) holds it with room to spare.
pub(crate) const MAX_PAYLOAD: usize = 2 * 1024 * 1024;
/// The most messages of one SendMessages or RecvMessages, and entries of one Poll: UIO_MAXIOV, the kernel's own limit.
pub(crate) const MAX_MESSAGES: usize = 1024;
/// The most bytes of control messages for one message.
pub(crate) const MAX_CONTROL: usize = 16 * 1024;

/// One verb with its arguments.
pub(crate) trait Operation: Sized + std::marker::Send {
    /// The verb, as the API names it.
    const VERB: &'static str;

    /// What it answers.
    type Output: std::marker::Send;

    /// The handle it is about, if there is just one.
    fn handle(&self) -> Option<Handle>;

    /// Does it. Dropping the future ends it: a wait took nothing, and what was done is done.
    fn execute(
        self,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Output>> + std::marker::Send;
}

/// Who asks, and of which engine.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) owner: Owner,
}

impl Context {
    /// The caller's socket of that name.
    pub(crate) fn socket(&self, handle: Handle) -> Result<Arc<Socket>> {
        self.engine.table.get(handle, self.owner)
    }
}

/// Executes an operation. Everything that holds for all of them happens here.
pub(crate) async fn execute<O: Operation>(context: &Context, operation: O) -> Result<O::Output> {
    let _admission = context.engine.admit()?;
    let span = tracing::debug_span!(
        "operation",
        verb = O::VERB,
        handle = operation.handle().map(|handle| handle.0),
    );
    let outcome = operation.execute(context).instrument(span.clone()).await;
    if let Err(error) = &outcome {
        tracing::debug!(parent: &span, %error, "failed");
    }
    outcome
}
