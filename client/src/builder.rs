//! How a client connects: options, the HTTP/2 settings, and which daemon instance it keeps to.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    Client, Error, Result, SessionOptions,
    client::Transport,
    paced::Paced,
    pump::Pump,
    target::{self, Target},
};

/// One call's answer may arrive this far ahead of its reader. Small, so that calls nobody reads at
/// the moment leave the connection's window to the others; large answers come in several rounds.
const STREAM_WINDOW: u32 = 64 << 10;
/// All calls' answers may arrive this far ahead: 256 times a call's own window.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The largest frame the daemon may send. HTTP/2's default of 16 KiB costs a header, and a wake-up,
/// per 16 KiB.
const MAX_FRAME: u32 = 1 << 20;
/// One flow of bulk data may arrive this far ahead of its task: twice the flow's own window at its widest, so that HTTP/2's never ends
/// first.
const BULK_STREAM_WINDOW: u32 = 4 << 20;
/// All flows together may: eight that all arrive at once. Each is always read, so they do not hold each other up.
const BULK_CONNECTION_WINDOW: u32 = 32 << 20;
/// The shortest time between pings, and for their answers, of a client that did not ask for a shorter one.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// The session's lease if its options name none, as the daemon has it.
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// What the daemon sees as the authority of connections that have no host of their own.
const LOCAL_AUTHORITY: &str = "http://localhost";

/// Options of a [`Client`], set before it connects.
#[derive(Clone, Debug)]
pub struct Builder {
    timeout: Option<Duration>,
    connect_timeout: Duration,
    keep_alive: Option<KeepAlive>,
    max_response_bytes: usize,
    instance: Instance,
    session: SessionChoice,
}

/// How it is found out that a connection carries nothing any more.
#[derive(Clone, Copy, Debug)]
struct KeepAlive {
    interval: Duration,
    timeout: Duration,
}

/// How calls on sockets are made.
#[derive(Clone, Debug)]
enum SessionChoice {
    /// On the stream of a session of the client's own.
    Own(SessionOptions),
    /// As unary RPCs.
    None,
    /// As unary RPCs in the session of this id.
    Joined(String),
}

/// Which daemon instance the calls are meant for.
#[derive(Clone, Debug)]
enum Instance {
    /// Whoever is there.
    Any,
    /// The one found at connecting.
    Found,
    /// This one.
    Known(String),
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            timeout: None,
            connect_timeout: Duration::from_secs(10),
            keep_alive: None,
            max_response_bytes: 64 << 20,
            instance: Instance::Found,
            session: SessionChoice::Own(SessionOptions::default()),
        }
    }
}

impl Builder {
    /// How long each call may take, as its gRPC deadline; default: no limit. Past it, the call ends
    /// as [`DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded) and the daemon stops waiting.
    ///
    /// A call that brings a `timeout` of its own may take that much longer: its wait ends in the
    /// daemon, with the daemon's answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What the client's session shall be; default: [`SessionOptions::default`].
    #[must_use]
    pub fn session(mut self, options: SessionOptions) -> Self {
        self.session = SessionChoice::Own(options);
        self
    }

    /// Whether the client makes each call as a unary RPC, without a session; default: no.
    ///
    /// Sockets live until they are closed then, and not as long as the client: for programs that make
    /// a few calls and leave handles behind, whose numbers another program takes up. What a session's
    /// stream gives is not there: calls that survive the connection, pipelines
    /// ([`Pipeline`](crate::Pipeline)), and [`Operation`](crate::Operation).
    #[must_use]
    pub fn unary(mut self, unary: bool) -> Self {
        self.session = match self.session {
            session @ SessionChoice::Own(_) if !unary => session,
            _ if unary => SessionChoice::None,
            _ => SessionChoice::Own(SessionOptions::default()),
        };
        self
    }

    /// Makes each call as a unary RPC in the session of this id, which another client opened, and
    /// which lives as long as that one renews it: every call does so too.
    #[must_use]
    pub fn join_session(mut self, id: impl Into<String>) -> Self {
        self.session = SessionChoice::Joined(id.into());
        self
    }

    /// How long connecting may take, each time; default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How it is found out that the connection to the daemon carries nothing any more, though it has not ended: every `interval` in
    /// which nothing came the daemon is asked for a sign (a PING of HTTP/2), and after `timeout` without one the connection counts as
    /// broken. Default: a sixth and a third of the session's lease, so that the session can be found again before its lease is over,
    /// and not less than 1 s; without a session 5 s and 10 s.
    ///
    /// On every transport: also a unix socket may be one end of a way to another host.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep_alive = Some(KeepAlive { interval, timeout });
        self
    }

    /// The largest answer in bytes that the client takes memory for; default: 64 MiB. Should be
    /// above the daemon's [`Limits::max_payload_bytes`](crate::Limits): a session's stream ends with
    /// an answer that is larger, and the session's calls with it.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// Whether to keep to the daemon instance that is found at connecting; default: yes.
    ///
    /// A daemon that restarted counts its handles from 1 again, so an old number may name somebody
    /// else's new socket. With this, calls to another instance end as
    /// [`Reason::InstanceChanged`](crate::Reason::InstanceChanged). The id is asked for by one call
    /// at connecting, rather than later: a restart in between would go unnoticed. A program that
    /// makes a single call, with a handle number it was given, gains nothing from it and can save
    /// that call; see also [`instance`](Self::instance). A client with a session asks for nothing:
    /// another instance does not know the session.
    #[must_use]
    pub fn pin_instance(mut self, pin: bool) -> Self {
        self.instance = if pin { Instance::Found } else { Instance::Any };
        self
    }

    /// Keep to the daemon instance of this id
    /// ([`HostInfo::instance_id`](crate::HostInfo::instance_id)), such as the one that handle
    /// numbers from an earlier run belong to. Connecting asks for nothing then.
    #[must_use]
    pub fn instance(mut self, id: impl Into<String>) -> Self {
        self.instance = Instance::Known(id.into());
        self
    }

    /// Connects to the daemon at `unix:///PATH` or `tcp://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// As of [`Client::connect`].
    pub async fn connect(self, address: &str) -> Result<Client> {
        let target = Target::parse(address).map_err(Error::invalid_request)?;
        match target {
            Target::Unix(path) => {
                let endpoint = self.endpoint(LOCAL_AUTHORITY, address)?;
                self.finish(endpoint, address, move || target::dial_unix(path.clone()))
                    .await
            }
            Target::Tcp { host, port } => {
                let endpoint = self.endpoint(&target::tcp_origin(&host, port), address)?;
                self.finish(endpoint, address, move || {
                    target::dial_tcp(host.clone(), port)
                })
                .await
            }
        }
    }

    /// Connects by `connector`, which opens the byte stream to the daemon.
    ///
    /// # Errors
    ///
    /// As of [`Client::connect_with`].
    pub async fn connect_with<C, F, IO>(self, connector: C) -> Result<Client>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let name = "the other end of the connector";
        let endpoint = self.endpoint(LOCAL_AUTHORITY, name)?;
        self.finish(endpoint, name, connector).await
    }

    fn endpoint(&self, origin: &str, name: &str) -> Result<Endpoint> {
        let KeepAlive { interval, timeout } = self.patience();
        Ok(Endpoint::from_shared(origin.to_owned())
            .map_err(|error| Error::unreachable_at(name, &error))?
            .connect_timeout(self.connect_timeout)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(timeout)
            .keep_alive_while_idle(true))
    }

    /// See [`Builder::keep_alive`].
    fn patience(&self) -> KeepAlive {
        let lease = match &self.session {
            SessionChoice::Own(options) => options.lease.unwrap_or(DEFAULT_LEASE),
            SessionChoice::None | SessionChoice::Joined(_) => DEFAULT_LEASE,
        };
        self.keep_alive.unwrap_or(KeepAlive {
            interval: (lease / 6).max(LEAST_PATIENCE),
            timeout: (lease / 3).max(LEAST_PATIENCE),
        })
    }

    /// Opens the connection and settles the instance; `name` is how errors call the daemon.
    async fn finish<C, F, IO>(self, endpoint: Endpoint, name: &str, connector: C) -> Result<Client>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // Two connections use it, one after the other: only the future is made under the lock.
        let connector = Arc::new(Mutex::new(connector));
        let open = move || connector.lock().unwrap_or_else(PoisonError::into_inner)();
        let paced = open.clone();
        let paced = tower::service_fn(move |_| {
            let opening = paced();
            async move { opening.await.map(|io| TokioIo::new(Paced::new(io))) }
        });
        let connector = tower::service_fn(move |_| {
            let opening = open();
            async move { opening.await.map(TokioIo::new) }
        });
        let (pump, bulk_pump) = (Pump::start(), Pump::start());
        let bulk = endpoint
            .clone()
            .initial_stream_window_size(BULK_STREAM_WINDOW)
            .initial_connection_window_size(BULK_CONNECTION_WINDOW)
            .executor(bulk_pump.clone())
            .connect_with_connector_lazy(paced);
        let channel: Channel = endpoint
            .executor(pump.clone())
            .connect_with_connector(connector)
            .await
            .map_err(|error| Error::unreachable_at(name, &error))?;
        let transport = Transport {
            channel,
            pump,
            bulk,
            bulk_pump,
            found: Arc::default(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            max_response_bytes: self.max_response_bytes,
        };
        let within = self.connect_timeout;
        tokio::time::timeout(within, self.settle(transport))
            .await
            .map_err(|elapsed| Error::unreachable_at(name, &elapsed))?
    }

    /// Settles the instance and the session.
    async fn settle(self, transport: Transport) -> Result<Client> {
        let known = match &self.instance {
            Instance::Known(id) => Some(metadata("instance", id)?),
            Instance::Found | Instance::Any => None,
        };
        match self.session {
            SessionChoice::Own(options) => {
                let client = Client::new(transport, known, None);
                Ok(client.open_session(options).await?.into_client())
            }
            SessionChoice::Joined(id) => {
                let joined = metadata("session_id", &id)?;
                Ok(Client::new(transport, known, Some(joined)))
            }
            SessionChoice::None => match self.instance {
                Instance::Found => {
                    let client = Client::new(transport.clone(), None, None);
                    let id = client.instance_id().await?;
                    Ok(Client::new(
                        transport,
                        Some(metadata("instance", &id)?),
                        None,
                    ))
                }
                Instance::Any | Instance::Known(_) => Ok(Client::new(transport, known, None)),
            },
        }
    }
}

fn metadata(field: &str, id: &str) -> Result<MetadataValue<Ascii>> {
    id.parse().map_err(|_| {
        Error::invalid_request(farsock_proto::Violation::new(
            field,
            "an id is 32 hexadecimal digits",
        ))
    })
}
