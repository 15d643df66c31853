//! A thin async client for farsockd: real kernel sockets on any host, with std types in and out.
//!
//! A [`Client`] is one connection to a daemon, cheap to clone. It hands out [`RemoteSocket`]s,
//! whose methods are the system calls by their man-page names. What the daemon's kernel answers
//! comes back as it is: an [`Error`] keeps the errno and the call, and turns into a
//! [`std::io::Error`] of the kind that the same call would have had here.
//!
//! ```
//! use farsock_client::{Client, Domain, Protocol, SocketType};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A daemon in this process. Elsewhere: Client::connect("unix:///run/farsock/farsock.sock"),
//! // or "tcp://127.0.0.1:7600".
//! let daemon = farsock_daemon::embedded();
//! let client = Client::connect_with(daemon.connector()).await?;
//!
//! let listener = client.socket(Domain::Inet, SocketType::Stream, Protocol::Default).await?;
//! let address = listener.bind("127.0.0.1:0").await?; // with the port that the kernel chose
//! listener.listen(16).await?;
//!
//! let near = client.socket(Domain::Inet, SocketType::Stream, Protocol::Default).await?;
//! near.connect(address.clone()).await?;
//! let (far, peer) = listener.accept().await?;
//! assert_eq!(peer, near.socket_name().await?);
//!
//! near.send("hello").await?;
//! assert_eq!(far.recv(64).await?.data, "hello");
//!
//! // The kernel's own answers.
//! let error = listener.bind(address).await.expect_err("a socket is bound once");
//! assert_eq!(error.errno_name(), Some("EINVAL"));
//! assert_eq!(error.io_kind(), std::io::ErrorKind::InvalidInput);
//!
//! near.close().await?; // what is not closed is closed on drop, best effort
//! assert!(far.recv(64).await?.end_of_stream);
//! client.close().await?; // all of the client's sockets are closed now
//! # Ok(())
//! # }
//! ```
//!
//! # Waiting
//!
//! Accept, connect, send, receive and poll wait until the kernel has an answer. To bound one call,
//! give it a `timeout` by its `_with` form ([`RemoteSocket::accept_with`] and so on): the daemon
//! ends the wait, takes nothing from the socket, and says [`Reason::TimedOut`]. To bound every call
//! of a client, set [`Builder::timeout`]. Dropping a call's future ends the wait as well, and loses
//! nothing. [`Operation`] tells when a call truly waits.
//!
//! # Sessions
//!
//! A client's sockets live in a session, which ends with the client; its calls are operations on one
//! stream, which do not hold each other up and survive the connection: see [`Client`]. [`Pipeline`]
//! sends several calls in one round trip; [`TcpListener`], [`TcpStream`], [`UdpSocket`],
//! [`UnixListener`], [`UnixStream`] and [`UnixDatagram`] use it, and have the shape of tokio's.
//!
//! # What the wire looks like
//!
//! The API itself, package `farsock.v1`, is in [`farsock_proto`]; nothing here is needed to speak
//! it.

mod builder;
mod call;
mod client;
mod convert;
mod errno;
mod error;
mod flow;
mod host;
mod journal;
mod net;
mod operation;
mod paced;
mod pipeline;
mod poll;
mod pump;
mod scope;
mod session;
mod socket;
mod status;
mod stream;
mod sync;
mod target;

pub use bytes::Bytes;
pub use farsock_proto::{
    Violation,
    address::{Address, RawAddress, UnixAddress, VsockAddress},
    message::{ControlMessage, Credentials, ExtendedError, MessageFlags, Rights},
    option::{Membership, MulticastInterface, OptionName, OptionValue, SourceMembership},
    reason::Reason,
    socket::{Domain, Protocol, ShutdownHow, SocketType},
    v1::{
        Kernel, Limits, OptionKind, Privilege, SocketCounters, SocketOption, SocketState, TcpInfo,
    },
};
pub use tonic::Code;

pub use crate::{
    builder::Builder,
    client::Client,
    error::{Error, ErrorKind, Result},
    host::{
        clock::HostClock,
        info::{HostInfo, OptionSupport, PrivilegeSupport, SocketSupport},
        interfaces::{Interface, InterfaceAddress},
        resolve::{Resolution, ResolveOptions, ResolvedAddress},
    },
    journal::{
        Journal, JournalDirection, JournalEvent, JournalOptions, JournalRecord, JournalStream,
        JournalStreamEvent,
    },
    net::{
        datagrams::{Datagrams, DatagramsOptions},
        halves::{OwnedReadHalf, OwnedWriteHalf},
        tcp_listener::TcpListener,
        tcp_stream::TcpStream,
        udp_socket::UdpSocket,
        unix_datagram::UnixDatagram,
        unix_listener::UnixListener,
        unix_stream::UnixStream,
    },
    operation::{Operation, Timing},
    pipeline::Pipeline,
    poll::{AsHandle, PollEvents, PollReady},
    session::{
        list::SessionInfo,
        open::{OnExpiry, Session, SessionOptions},
        state::{SessionState, SessionWatch},
    },
    socket::{
        RemoteSocket,
        accept::AcceptOptions,
        connect::ConnectOptions,
        create::SocketOptions,
        info::SocketInfo,
        recv::{Received, RecvOptions},
        recv_messages::{ReceivedMessage, RecvMessagesOptions},
        send::SendOptions,
        send_messages::OutgoingMessage,
        splice::{SpliceOptions, Spliced, SplicedDirection},
    },
};
