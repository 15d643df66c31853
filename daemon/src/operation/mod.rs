//! Operations: what clients ask for, one verb a file. Every door builds the same operations and calls the same [`execute`].

mod accept;
mod accept_many;
mod bind;
mod close;
mod connect;
mod create_socket;
mod create_socket_pair;
mod datagrams;
mod get_option;
mod get_peer_name;
mod get_socket;
mod get_socket_name;
mod list_sockets;
mod listen;
mod opened;
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
mod splice;
mod stream;
mod undo;

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracing::Instrument;

pub(crate) use self::{
    accept::{Accept, Accepted},
    accept_many::AcceptMany,
    bind::Bind,
    close::Close,
    connect::Connect,
    create_socket::CreateSocket,
    create_socket_pair::CreateSocketPair,
    datagrams::Datagrams,
    get_option::GetOption,
    get_peer_name::GetPeerName,
    get_socket::{GetSocket, SocketReport},
    get_socket_name::GetSocketName,
    list_sockets::{ListSockets, SocketPage},
    listen::Listen,
    opened::OpenedStream,
    poll::{Poll, Ready},
    received_message::ReceivedMessage,
    recv::Recv,
    recv_from::RecvFrom,
    recv_messages::RecvMessages,
    send::Send,
    send_messages::{OutgoingMessage, SendMessages, prepare, travellers},
    send_to::SendTo,
    set_option::SetOption,
    shutdown::Shutdown,
    splice::Splice,
    stream::Stream,
};

/// When something happens, by the clocks that tests compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) realtime: SystemTime,
    pub(crate) monotonic: Duration,
}

impl Clocks {
    /// The clocks now.
    pub(crate) fn now() -> Self {
        Self {
            realtime: SystemTime::now(),
            monotonic: crate::sys::host::monotonic(),
        }
    }
}

/// The index of the interface called `name`. For one that it does not know the kernel may look for a module.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    blocking::in_place(true, || crate::sys::address::zone(name))
}

/// What the doors need to know of the layers below: events, states and what a relay moved are plain data.
pub(crate) use crate::socket::{Moved, Spliced};
pub(crate) use crate::sys::socket::{Events, State};
use crate::{
    blocking,
    engine::{Engine, Held, Owner},
    error::{Error, Result},
    journal::{Answer, CallText},
    socket::{Patience, Socket, Watch},
    sys::socket::Kind,
    table::{Block, Claim, Handle, Reservation},
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

    /// Other handles that it is about.
    fn others(&self) -> Vec<Handle> {
        Vec::new()
    }

    /// Writes the system call with its arguments, as strace(1) shows it.
    fn describe(&self, call: &mut CallText) -> fmt::Result;

    /// How many bytes its arguments keep in memory until it has ended; 0 if they are few, whatever they say.
    fn weight(&self) -> usize {
        0
    }

    /// What it sends; of several messages the first one's.
    fn payload(&self) -> Option<&[u8]> {
        None
    }

    /// What its answer says.
    fn answer(output: &Self::Output) -> Answer<'_>;

    /// How many bytes its answer may take: what a session keeps room for before it starts.
    fn room(&self) -> usize {
        1024
    }

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
    /// The session that the operation belongs to: sockets it makes are the session's.
    pub(crate) session: Option<Arc<Block>>,
    /// Its request id within the session.
    pub(crate) request_id: Option<u64>,
    /// Who watches the operation.
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Context {
    /// The caller's socket of that name.
    pub(crate) fn socket(&self, handle: Handle) -> Result<Arc<Socket>> {
        self.engine.table.get(handle, self.owner)
    }

    /// Puts a socket that the operation has made into the room kept for it.
    ///
    /// # Errors
    /// The session is over; then the descriptor is closed.
    fn keep(
        &self,
        room: Reservation<'_>,
        claim: Option<Claim>,
        fd: OwnedFd,
        kind: Kind,
        nonblocking: bool,
    ) -> Result<Arc<Socket>> {
        self.engine.place(room, claim, |handle| {
            let ownership = (self.owner, self.session.clone());
            Socket::new(&self.engine, handle, ownership, fd, kind, nonblocking)
        })
    }

    /// The time that a request's `timeout` gives this operation.
    fn patience(&self, timeout: Option<Duration>) -> Patience {
        Patience::new(timeout, self.watch.clone())
    }

    /// Why an operation of the caller's failed: a handle that has gone with its session says no more than that it has gone.
    fn reason(&self, error: Error) -> Error {
        let gone = matches!(error, Error::HandleNotFound(_) | Error::HandleClosed(_));
        match &self.session {
            Some(session) if gone && session.is_ended() => Error::SessionExpired,
            _ => error,
        }
    }

    /// The handle number that the request assigns to a socket to come; none if it is 0.
    fn claim(&self, number: u64) -> Result<Option<Claim>> {
        match (number, &self.session) {
            (0, _) => Ok(None),
            (number, Some(session)) => session.claim(number).map(Some),
            (number, None) => Err(Error::HandleOutOfBlock(Handle(number))),
        }
    }
}

/// An operation whose arguments' memory is counted, from before it waits for anything, its turn or its time included.
pub(crate) struct Weighed<O> {
    operation: O,
    held: Option<Held<Arc<Engine>>>,
}

impl<O: Operation> Weighed<O> {
    /// # Errors
    /// Operations keep too much in memory already.
    pub(crate) fn new(engine: &Arc<Engine>, operation: O) -> Result<Self> {
        let held = match operation.weight() {
            0 => None,
            weight => Some(Engine::hold(Arc::clone(engine), weight)?),
        };
        Ok(Self { operation, held })
    }
}

/// Executes an operation.
pub(crate) async fn execute<O: Operation>(context: &Context, operation: O) -> Result<O::Output> {
    execute_weighed(context, Weighed::new(&context.engine, operation)?).await
}

/// Executes an operation that was weighed when it arrived. Everything that holds for all of them happens here.
pub(crate) async fn execute_weighed<O: Operation>(
    context: &Context,
    weighed: Weighed<O>,
) -> Result<O::Output> {
    let Weighed {
        operation,
        held: _held,
    } = weighed;
    let _admission = context.engine.admit()?;
    let span = tracing::debug_span!(
        "operation",
        verb = O::VERB,
        handle = operation.handle().map(|handle| handle.0),
    );
    let entry = context.engine.journal.begin(context, &operation);
    let watched = entry.as_ref().map(|entry| Context {
        watch: Some(Arc::clone(entry.watch())),
        ..context.clone()
    });
    let outcome = operation
        .execute(watched.as_ref().unwrap_or(context))
        .instrument(span.clone())
        .await
        .map_err(|error| context.reason(error));
    if let Some(entry) = entry {
        entry.end(outcome.as_ref().map(O::answer));
    }
    if let Err(error) = &outcome {
        tracing::debug!(parent: &span, %error, "failed");
    }
    outcome
}

#[cfg(test)]
mod tests;
