//! Listeners: where connections come from, and who may speak.
//!
//! ```text
//! Listener::accept  ->  accept::run  ->  connection::serve  ->  the doors
//! unix, tcp, memory     cap, reserve     preface, HTTP/2, drain
//! ```
//! tonic's own server is not used here: it spins when descriptors run out, keeps connections that never send their preface, and
//! one of those holds up its shutdown for ever.

pub(crate) mod accept;
mod address;
mod allowance;
pub(crate) mod calls;
pub(crate) mod connection;
pub(crate) mod deadline;
mod frames;
mod grpc;
pub(crate) mod memory;
mod metered;
mod preface;
mod unix;

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
};

pub use address::{ListenAddress, ListenAddressError};

use crate::engine::Owner;

/// How many connections may wait for accept(2).
const BACKLOG: u32 = 1024;

/// Something that connections arrive at.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Unix(unix::UnixSocket),
    Tcp(TcpListener, SocketAddr),
    Memory(memory::Incoming),
}

/// The bytes of a connection, whatever carries them.
pub(crate) type Stream = Box<dyn Io>;

/// What carries a connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What accept brought.
pub(crate) enum Arrival {
    /// A connection, whose it is, and how to name it in the log.
    Connection(Stream, Owner, Peer),
    /// A user who may not speak to this daemon; the connection is closed.
    Stranger {
        /// The user's id.
        uid: u32,
    },
}

/// The other end of a connection, for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// A process of this host.
    Unix {
        /// Its user.
        uid: u32,
        /// Its id, if the kernel tells it.
        pid: Option<i32>,
    },
    /// A TCP address.
    Tcp(SocketAddr),
    /// This process.
    Memory,
}

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configuration names no address.
    #[error("there is nothing to listen at: give at least one address (--listen)")]
    Nowhere,
    /// Another daemon serves this socket.
    #[error(
        "a farsockd is already running at {}; stop it, or listen elsewhere (--listen)",
        path.display()
    )]
    AlreadyRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The path is taken by something that is not a socket, which is not ours to remove.
    #[error("{} exists and is not a socket; it is left alone", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The default directory belongs to someone else, who could replace the socket.
    #[error("{} belongs to user {uid}, who could replace the socket in it", path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The kernel gives no epoll instance to wait for sockets with.
    #[error("cannot wait for sockets: {0}")]
    Engine(io::Error),
    /// The system said no.
    #[error("cannot listen at {address}: {doing}: {source}")]
    Io {
        /// Where.
        address: ListenAddress,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl Listener {
    /// Listens at an address. Corresponds to socket(2), bind(2) and listen(2).
    ///
    /// # Errors
    /// The address is in use or not allowed; for a unix socket, see [`ListenError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        match address {
            ListenAddress::Unix(path) => unix::UnixSocket::bind(path)
                .await
                .map(|socket| Self(Kind::Unix(socket))),
            ListenAddress::Tcp(wanted) => {
                let failed = |doing| {
                    move |source| ListenError::Io {
                        address: address.clone(),
                        doing,
                        source,
                    }
                };
                let listener = bind_tcp(*wanted).map_err(failed("bind and listen"))?;
                Self::tcp(listener).map_err(failed("getsockname"))
            }
        }
    }

    pub(crate) fn tcp(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self(Kind::Tcp(listener, address)))
    }

    /// Listens within this process; the connector is the only way in.
    pub(crate) fn memory() -> (Self, memory::Connector) {
        let (incoming, connector) = memory::pipe();
        (Self(Kind::Memory(incoming)), connector)
    }

    /// The address that clients reach it at, with the port that the kernel chose; `None` for one within this process.
    #[must_use]
    pub fn address(&self) -> Option<ListenAddress> {
        match &self.0 {
            Kind::Unix(socket) => Some(ListenAddress::Unix(socket.path().to_owned())),
            Kind::Tcp(_, address) => Some(ListenAddress::Tcp(*address)),
            Kind::Memory(_) => None,
        }
    }

    /// The next connection. Dropping the future loses none.
    pub(crate) async fn accept(&mut self) -> io::Result<Arrival> {
        match &mut self.0 {
            Kind::Unix(socket) => socket.accept().await,
            Kind::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and wait for nothing. A peer that is gone by now shows when its bytes are read.
                let _ = stream.set_nodelay(true);
                Ok(Arrival::Connection(
                    Box::new(stream),
                    Owner::Tcp,
                    Peer::Tcp(address),
                ))
            }
            Kind::Memory(incoming) => Ok(Arrival::Connection(
                Box::new(incoming.next().await),
                Owner::Embedded,
                Peer::Memory,
            )),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => address.fmt(f),
            None => f.write_str("memory"),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix {
                uid,
                pid: Some(pid),
            } => write!(f, "uid {uid}, pid {pid}"),
            Self::Unix { uid, pid: None } => write!(f, "uid {uid}"),
            Self::Tcp(address) => address.fmt(f),
            Self::Memory => f.write_str("this process"),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the connections of the one before to leave TIME-WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
