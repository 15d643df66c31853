//! A listening socket of either side, and what it accepts.

use std::{fmt, io, net::SocketAddr, os::unix::fs::MetadataExt as _, pin::Pin};

use farsock_client::{Client, Error, ErrorKind, Reason, TcpListener, UnixListener};
use tokio::net;
use tokio_stream::StreamExt as _;

use super::side::Side;
use crate::{
    exit::{Failure, Tried},
    traffic::{
        dial,
        duplex::{self, Stream},
    },
};

/// A socket that waits for connections.
pub(super) struct Listener {
    socket: Socket,
    name: String,
    port: u16,
    /// Removed with it.
    _path: Option<Path>,
    place: Option<Place>,
}

/// Where the daemon's host is listened at: again, when a session's end has closed the listener.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix {
        path: String,
        /// The file that listening there made, where this host and the daemon's share it.
        file: Option<FileId>,
    },
}

/// Which file it is: its device and its number there.
type FileId = (u64, u64);

enum Socket {
    TcpHere(net::TcpListener),
    UnixHere(net::UnixListener),
    /// Accepts ahead from the first accept on.
    There(There, Option<Incoming>),
}

/// A listening socket of the daemon's host.
enum There {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Its connections, each with its peer's address; a unix peer has none.
type Incoming = Pin<
    Box<
        dyn tokio_stream::Stream<Item = farsock_client::Result<(Stream, Option<SocketAddr>)>>
            + Send,
    >,
>;

/// A path of this host, which is removed when nobody listens there any more.
struct Path(String);

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    /// Who made it.
    pub(super) peer: String,
    /// This end's address and the peer's, of a TCP connection on this host.
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
}

/// Why there is no listener.
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// This host has no such address at all.
    pub(super) no_such_address: bool,
}

/// Why nothing was accepted.
pub(super) enum NotAccepted {
    /// The next may be.
    ThisTime(Failure),
    /// No other will be.
    AnyMore(Failure),
}

impl Listener {
    /// Listens at an address of a side.
    pub(super) async fn bind(
        side: Side,
        client: &Client,
        address: SocketAddr,
    ) -> Result<Self, Refused> {
        let (socket, local, place) = match side {
            Side::Here => {
                let listening = net::TcpListener::bind(address).await;
                let listening =
                    listening.and_then(|listener| Ok((listener.local_addr()?, listener)));
                let (local, listener) = listening.map_err(|error| Refused {
                    no_such_address: no_such_address(error.kind(), error.raw_os_error()),
                    failure: refused_here(&address, &error),
                })?;
                (Socket::TcpHere(listener), local, None)
            }
            Side::There => {
                let listening = dial::listen(client, address).await;
                let listener = listening.map_err(|error| Refused {
                    no_such_address: matches!(
                        error.errno_name(),
                        Some("EADDRNOTAVAIL" | "EAFNOSUPPORT")
                    ),
                    failure: Failure::of(format!("listen {address} on the daemon's host"), &error),
                })?;
                let local = listener.local_addr();
                let place = Some(Place::Tcp(local));
                (Socket::There(There::Tcp(listener), None), local, place)
            }
        };
        Ok(Self {
            socket,
            name: local.to_string(),
            port: local.port(),
            _path: None,
            place,
        })
    }

    pub(super) fn unix_here(path: &str) -> Result<Self, Failure> {
        let listener =
            net::UnixListener::bind(path).map_err(|error| refused_here(&path, &error))?;
        Ok(Self {
            socket: Socket::UnixHere(listener),
            name: path.to_owned(),
            port: 0,
            _path: Some(Path(path.to_owned())),
            place: None,
        })
    }

    pub(super) async fn unix_there(client: &Client, path: &str) -> Result<Self, Failure> {
        let before = file_at(path);
        let listener = UnixListener::bind(client, dial::unix_path(path))
            .await
            .tried(|| format!("listen {path} on the daemon's host"))?;
        Ok(Self {
            socket: Socket::There(There::Unix(listener), None),
            name: path.to_owned(),
            port: 0,
            _path: None,
            place: Some(Place::Unix {
                path: path.to_owned(),
                // A file that was there before is none of the daemon's host: there, nothing may have been.
                file: file_at(path).filter(|_| before.is_none()),
            }),
        })
    }

    /// Listens once more at a place of the daemon's host.
    pub(super) async fn again(client: &Client, place: &Place) -> Result<Self, Failure> {
        match place {
            Place::Tcp(address) => Self::bind(Side::There, client, *address)
                .await
                .map_err(|refused| refused.failure),
            Place::Unix { path, file } => {
                // What the closed listener has left behind is in its own way.
                if file.is_some() && file_at(path) == *file {
                    drop(Path(path.clone()));
                }
                Self::unix_there(client, path).await
            }
        }
    }

    /// Where it listens, if that is on the daemon's host.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Its address or path, with the port that the kernel chose.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&mut self) -> Result<Accepted, NotAccepted> {
        match &mut self.socket {
            Socket::TcpHere(listener) => {
                let accepted = listener.accept().await;
                let (stream, peer) = accepted.map_err(|error| self.not_accepted_here(&error))?;
                Ok(Accepted {
                    ends: stream.local_addr().ok().map(|local| (local, peer)),
                    stream: duplex::tcp_here(stream),
                    peer: peer.to_string(),
                })
            }
            Socket::UnixHere(listener) => {
                let accepted = listener.accept().await;
                let (stream, _) = accepted.map_err(|error| self.not_accepted_here(&error))?;
                // Who connects to a unix socket has no name.
                Ok(Accepted {
                    stream: duplex::unix_here(stream),
                    peer: self.name.clone(),
                    ends: None,
                })
            }
            Socket::There(listener, incoming) => {
                let incoming = incoming.get_or_insert_with(|| listener.incoming());
                let Some(accepted) = incoming.next().await else {
                    let what = format!("accept at {}: nothing comes any more", self.name);
                    return Err(NotAccepted::AnyMore(Failure::Local(what)));
                };
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        let error = listener.why(error).await;
                        return Err(self.not_accepted_there(&error));
                    }
                };
                Ok(Accepted {
                    stream,
                    peer: peer.map_or_else(|| self.name.clone(), |peer| peer.to_string()),
                    ends: None,
                })
            }
        }
    }

    /// A listening socket of this host goes on: what fails is one connection, or the room for it.
    fn not_accepted_here(&self, error: &io::Error) -> NotAccepted {
        NotAccepted::ThisTime(Failure::Local(format!("accept at {}: {error}", self.name)))
    }

    fn not_accepted_there(&self, error: &Error) -> NotAccepted {
        let failure = Failure::of(format!("accept at {}", self.name), error);
        match error.kind() {
            ErrorKind::Kernel { .. }
            | ErrorKind::Daemon {
                reason: Reason::QuotaExceeded | Reason::ResultsFull,
            } => NotAccepted::ThisTime(failure),
            _ => NotAccepted::AnyMore(failure),
        }
    }
}

impl There {
    /// Why it is that accepting failed: of a listener that was closed, the session knows more.
    async fn why(&self, error: Error) -> Error {
        if !matches!(
            error.reason(),
            Some(Reason::HandleClosed | Reason::HandleNotFound)
        ) {
            return error;
        }
        let socket = match self {
            Self::Tcp(listener) => listener.socket(),
            Self::Unix(listener) => listener.socket(),
        };
        match socket.info().await {
            Err(of_session) if of_session.reason() == Some(Reason::SessionExpired) => of_session,
            _ => error,
        }
    }

    fn incoming(&self) -> Incoming {
        match self {
            Self::Tcp(listener) => {
                Box::pin(listener.incoming().map(|accepted| {
                    accepted.map(|(stream, peer)| (duplex::tcp(stream), Some(peer)))
                }))
            }
            Self::Unix(listener) => Box::pin(
                listener
                    .incoming()
                    .map(|accepted| accepted.map(|(stream, _)| (duplex::unix(stream), None))),
            ),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => f.write_str(path),
        }
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // Somebody may have been quicker.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file of this host at a path.
fn file_at(path: &str) -> Option<FileId> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Why nobody listens at an address or a path of this host, in the form of the daemon's refusals.
fn refused_here(at: &dyn std::fmt::Display, error: &io::Error) -> Failure {
    let name = match error.kind() {
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::PermissionDenied => "EACCES",
        _ => return Failure::Local(format!("listen {at} on this host: {error}")),
    };
    let text = error.to_string();
    let text = text
        .split_once(" (os error")
        .map_or(&*text, |(text, _)| text);
    Failure::Local(format!("listen {at} on this host: {name}: {text}"))
}

/// Whether this host lacks the address, or the family.
fn no_such_address(kind: io::ErrorKind, errno: Option<i32>) -> bool {
    // EAFNOSUPPORT, which has no kind of its own.
    const NO_FAMILY: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    kind == io::ErrorKind::AddrNotAvailable || errno == Some(NO_FAMILY)
}
