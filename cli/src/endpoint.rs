//! Which daemon to talk to, and how to reach it.

use std::{fmt, io, ops::Deref, path::PathBuf, time::Duration};

use farsock_client::{Builder, Client, Error, ErrorKind, SessionOptions};

use crate::exit::Failure;

/// How long a daemon may take for any answer: one that waits on purpose says so itself in time, so that only a daemon that
/// does not answer at all meets this.
const LEAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A running daemon, at an address that the client crate reads: `unix:///PATH` or `tcp://HOST:PORT`.
    Daemon(String),
    /// One of this process's own, which ends with it, and its sockets too.
    Embedded,
}

impl Endpoint {
    /// The daemon's own default: its unix socket in the user's runtime directory, or the one that root's daemon has. The user's
    /// is taken if it is there, so that who runs a daemon of their own reaches that one.
    pub(crate) fn default_daemon() -> Self {
        const SYSTEM: &str = "/run/farsock/farsock.sock";
        let own = std::env::var_os("XDG_RUNTIME_DIR")
            .map(|directory| PathBuf::from(directory).join("farsock/farsock.sock"))
            .filter(|path| {
                path.is_absolute() && (path.exists() || !PathBuf::from(SYSTEM).exists())
            });
        let path = own.unwrap_or_else(|| PathBuf::from(SYSTEM));
        Self::Daemon(format!("unix://{}", path.display()))
    }

    /// Whether the daemon shares this host's file system: it is in this process, or was reached by a path.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Daemon(address) => address.starts_with("unix:"),
            Self::Embedded => true,
        }
    }

    /// Connects. `timeout` is how long each call may take, at least [`LEAST_TIMEOUT`], on top of what it is to wait.
    ///
    /// Without a session of its own, since the handles must outlive this process. A single command's handles are the numbers its user typed:
    /// keeping to the instance that is found would gain nothing.
    pub(crate) async fn connect(
        &self,
        timeout: Option<Duration>,
        session: Option<&str>,
    ) -> Result<Connection, Failure> {
        let mut builder = Client::builder().unary(true).pin_instance(false);
        if let Some(id) = session {
            builder = builder.join_session(id);
        }
        if let Some(timeout) = timeout {
            builder = builder.timeout(timeout.max(LEAST_TIMEOUT));
        }
        self.connect_by(builder).await
    }

    /// Connects, and opens a session that ends with this process: for commands that move bytes as long as they run, and whose sockets
    /// are of no use after them. `label` is its name for people.
    pub(crate) async fn open_session(&self, label: &str) -> Result<Connection, Failure> {
        let options = SessionOptions::new().label(label);
        self.connect_by(Client::builder().session(options)).await
    }

    /// What the user may do about a daemon that cannot be reached, where that is known.
    fn next_step(&self, error: &Error) -> &'static str {
        match error.io_kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                if *self == Self::default_daemon() =>
            {
                "; start one with `farsockd &`, or name another with --addr or FARSOCK_ADDR"
            }
            io::ErrorKind::PermissionDenied if self.is_local() => {
                "; this socket is for the daemon's own user"
            }
            _ => "",
        }
    }

    async fn connect_by(&self, builder: Builder) -> Result<Connection, Failure> {
        let (connected, embedded) = match self {
            Self::Daemon(address) => (builder.connect(address).await, None),
            Self::Embedded => {
                let (connected, daemon) = connect_embedded(builder).await?;
                (connected, Some(daemon))
            }
        };
        match connected {
            Ok(client) => Ok(Connection {
                client,
                _embedded: embedded,
            }),
            Err(error) => Err(match error.violations() {
                [] if *error.kind() == ErrorKind::Unreachable => {
                    Failure::Unreachable(format!("{error}{}", self.next_step(&error)))
                }
                [] => Failure::of("connect to the daemon".to_owned(), &error),
                [wrong, ..] => Failure::Usage(format!("--addr {self}: {}", wrong.description)),
            }),
        }
    }
}

/// A client, and the daemon that it talks to if that one is this process's own.
pub(crate) struct Connection {
    client: Client,
    _embedded: Option<Embedded>,
}

impl Connection {
    /// Ends the session that was opened with it, and with it all its sockets, whose last bytes are delivered. Best effort: the lease
    /// would do the same.
    pub(crate) async fn end(self) {
        end_session(&self.client).await;
    }
}

/// Ends the client's session, as [`Connection::end`] does.
pub(crate) async fn end_session(client: &Client) {
    if let Some(id) = client.session_id() {
        let closing = client.close_session(id, false);
        let _ = tokio::time::timeout(LEAST_TIMEOUT, closing).await;
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl From<&str> for Endpoint {
    fn from(text: &str) -> Self {
        match text {
            "embedded" => Self::Embedded,
            address => Self::Daemon(address.to_owned()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(address) => f.write_str(address),
            Self::Embedded => f.write_str("embedded"),
        }
    }
}

#[cfg(target_os = "linux")]
type Embedded = farsock_daemon::Embedded;

#[cfg(target_os = "linux")]
async fn connect_embedded(builder: Builder) -> Result<(Result<Client, Error>, Embedded), Failure> {
    let daemon = farsock_daemon::embedded();
    Ok((builder.connect_with(daemon.connector()).await, daemon))
}

/// The daemon is made of Linux's system calls; the rest of this program is not.
#[cfg(not(target_os = "linux"))]
type Embedded = std::convert::Infallible;

#[cfg(not(target_os = "linux"))]
async fn connect_embedded(_builder: Builder) -> Result<(Result<Client, Error>, Embedded), Failure> {
    let message = "--addr embedded: the daemon runs on Linux alone; name a running one";
    Err(Failure::Usage(message.to_owned()))
}
