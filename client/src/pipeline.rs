//! Several calls in one round trip, each after the one before it.

use std::{future::Future, sync::Arc};

use farsock_proto::reason::Reason;
use tokio::sync::Mutex;

use crate::{
    Client, Domain, Operation, Protocol, RemoteSocket, Result, SocketOptions, SocketType,
    call::{Tried, outcome_of},
    socket::create::create_request,
    stream::{Extras, Pending},
};

/// Calls that are sent at once, each to start when the one before it has succeeded. Sockets can be
/// used before the daemon has answered their creation.
///
/// ```
/// # use farsock_client::{Client, Domain, Protocol, SocketType};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = farsock_daemon::embedded();
/// # let client = Client::connect_with(daemon.connector()).await?;
/// let mut pipeline = client.pipeline();
/// let listener = pipeline.socket(Domain::Inet, SocketType::Stream, Protocol::Tcp).await?;
/// let bound = pipeline.then(listener.bind("127.0.0.1:0"));
/// let listening = pipeline.then(listener.listen(None));
/// let accepting = pipeline.then(listener.accept());
/// // One round trip later:
/// let address = bound.await?;
/// listening.await?;
/// # let near = client.tcp_socket().await?;
/// # near.connect(address).await?;
/// let (connection, peer) = accepting.await?;
/// # Ok(())
/// # }
/// ```
///
/// Await the steps in order: the first that failed tells why, and those behind it end as
/// [`Reason::DependencyFailed`], or as [`Reason::RequestUnknown`] if it was refused before it started. Of a client without a session
/// ([`Builder::unary`](crate::Builder::unary)) each step is made when it is awaited.
#[derive(Debug)]
pub struct Pipeline {
    client: Client,
    last_id: u64,
    creations: Creations,
}

/// Creations of sockets whose answers nobody has asked for yet.
type Creations = Arc<Mutex<Vec<(Tried, Pending)>>>;

impl Client {
    /// An empty pipeline: see [`Pipeline`].
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        Pipeline {
            client: self.clone(),
            last_id: 0,
            creations: Creations::default(),
        }
    }
}

impl Pipeline {
    /// Creates a socket, which can be used at once. Its own error is that of the first step after it.
    /// Corresponds to socket(2).
    ///
    /// # Errors
    ///
    /// None in a session; otherwise as of [`Client::socket`].
    pub async fn socket(
        &mut self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
    ) -> Result<RemoteSocket> {
        self.socket_with(domain, kind, protocol, SocketOptions::default())
            .await
    }

    /// Creates a socket and sets its options. Corresponds to socket(2) and setsockopt(2).
    ///
    /// # Errors
    ///
    /// None in a session; otherwise as of [`Client::socket_with`].
    pub async fn socket_with(
        &mut self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
        options: SocketOptions,
    ) -> Result<RemoteSocket> {
        let Some((stream, handle)) = self
            .client
            .stream()
            .and_then(|stream| Some((stream, stream.new_handle()?)))
        else {
            return self
                .client
                .socket_with(domain, kind, protocol, options)
                .await;
        };
        let mut request = create_request(domain, kind, protocol, options);
        request.new_handle = handle;
        let tried = Tried::of(&request);
        let extras = Extras {
            after: self.last_id,
            ..Extras::default()
        };
        let request = farsock_proto::v1::operation::Request::CreateSocket(request);
        let creation = stream.ask(request, extras).keep();
        self.last_id = creation.id();
        self.creations.lock().await.push((tried, creation));
        Ok(RemoteSocket::owned(self.client.clone(), handle))
    }

    /// Sends one more call, such as `socket.bind(address)`. Dropping the step cancels the call, and
    /// those behind it. Called within a tokio runtime, as the call itself would be.
    pub fn then<'a, T: Send + 'a>(
        &mut self,
        call: impl Future<Output = Result<T>> + Send + 'a,
    ) -> Operation<'a, Result<T>> {
        self.then_operation(Operation::new(call))
    }

    /// Sends one more call as [`then`](Self::then) does, with what was set of it: such as
    /// `Operation::new(listener.accept()).notify_waiting()`, which tells when the accept waits.
    pub fn then_operation<'a, T: Send + 'a>(
        &mut self,
        operation: Operation<'a, Result<T>>,
    ) -> Operation<'a, Result<T>> {
        let creations = Arc::clone(&self.creations);
        let mut step = operation.wrapped(|call| async move {
            match call.await {
                Err(error) if error.reason() == Some(Reason::DependencyFailed) => {
                    first_error(&creations).await?;
                    Err(error)
                }
                result => result,
            }
        });
        if self.client.stream().is_some() {
            match step.start_after(self.last_id) {
                // The session is over.
                0 => {}
                id => self.last_id = id,
            }
        }
        step
    }
}

/// Why a socket of a pipeline could not be created.
async fn first_error(creations: &Mutex<Vec<(Tried, Pending)>>) -> Result<()> {
    let mut creations = creations.lock().await;
    while !creations.is_empty() {
        let (tried, creation) = creations.remove(0);
        outcome_of(tried, creation.await, None)?;
    }
    Ok(())
}
