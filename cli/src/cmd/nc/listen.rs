//! `farsock nc -l`: waits for connections, or for the first datagram.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use farsock_client::{
    Domain, RemoteSocket, SocketType, TcpListener, UdpSocket, UnixDatagram, UnixListener,
};

use super::{
    PIECE, Running, datagrams,
    stdio::{Stdin, Stdout},
};
use crate::{
    exit::{Failure, Tried},
    traffic::{
        dial,
        duplex::{self, Stream},
    },
};

/// A listening socket of either kind.
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> Result<(Stream, String), Failure> {
        let accepted = match self {
            Self::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, peer)| (duplex::tcp(stream), peer.to_string())),
            Self::Unix(listener) => listener
                .accept()
                .await
                .map(|(stream, peer)| (duplex::unix(stream), peer.to_string())),
        };
        accepted.tried(|| "accept".to_owned())
    }

    async fn close(self) -> Result<(), Failure> {
        let closed = match self {
            Self::Tcp(listener) => listener.close().await,
            Self::Unix(listener) => listener.close().await,
        };
        closed.tried(|| "close".to_owned())
    }
}

impl Running {
    /// Listens at a port of the daemon's host.
    pub(super) async fn listen(&self, host: Option<&str>, port: &str) -> Result<(), Failure> {
        let kind = if self.nc.udp {
            SocketType::Dgram
        } else {
            SocketType::Stream
        };
        let address = self.address(host, port, kind).await?;
        if self.nc.udp {
            let socket = UdpSocket::bind(&self.client, address)
                .await
                .tried(|| format!("listen {address}"))?;
            let bound = socket.local_addr().await;
            self.note(listening(bound.tried(|| "getsockname".to_owned())?));
            return self.first_sender(socket.socket()).await;
        }
        let listener = dial::listen(&self.client, address)
            .await
            .tried(|| format!("listen {address}"))?;
        self.note(listening(listener.local_addr()));
        self.connections(Listener::Tcp(listener)).await
    }

    /// Listens at a path of the daemon's host.
    pub(super) async fn listen_unix(&self, path: &str) -> Result<(), Failure> {
        let address = dial::unix_path(path);
        if self.nc.udp {
            let socket = UnixDatagram::bind(&self.client, address)
                .await
                .tried(|| format!("listen {path}"))?;
            self.note(listening(path));
            return self.first_sender(socket.socket()).await;
        }
        let listener = UnixListener::bind(&self.client, address)
            .await
            .tried(|| format!("listen {path}"))?;
        self.note(listening(path));
        self.connections(Listener::Unix(listener)).await
    }

    /// The first connection, or with -k one after the other, without end.
    async fn connections(&self, listener: Listener) -> Result<(), Failure> {
        let mut stdin = Stdin::open(PIECE)?;
        let mut stdout = Stdout::open()?;
        if !self.nc.keep_listening {
            let (stream, peer) = listener.accept().await?;
            // Who comes later is refused, and does not wait for an accept that never comes.
            listener.close().await?;
            self.note(format_args!("connection from {peer}"));
            self.exchange(stream, &mut stdin, &mut stdout).await?;
            return stdout.finish().await;
        }
        loop {
            let (stream, peer) = listener.accept().await?;
            self.note(format_args!("connection from {peer}"));
            match self.exchange(stream, &mut stdin, &mut stdout).await {
                Ok(()) => self.note(format_args!("the connection from {peer} has ended")),
                // This connection's alone; the next may do better.
                Err(failure @ Failure::Kernel { .. }) => failure.tell(),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The sender of the first datagram becomes the peer; with -k everyone is heard and nobody is answered.
    async fn first_sender(&self, socket: &RemoteSocket) -> Result<(), Failure> {
        let mut stdout = Stdout::open()?;
        if self.nc.keep_listening {
            let terms = self.terms();
            datagrams::receive_from_all(socket, &mut stdout, terms, &self.meter).await?;
            return stdout.finish().await;
        }
        let (received, sender) = socket
            .recv_from(datagrams::LARGEST)
            .await
            .tried(|| "recvfrom".to_owned())?;
        let peer = sender
            .as_ref()
            .map_or_else(|| "a sender without a name".to_owned(), ToString::to_string);
        if let Some(sender) = sender {
            // One that has no name to answer to is heard all the same.
            match socket.connect(sender).await {
                Ok(_) => self.note(format_args!("datagrams from {peer}")),
                Err(error) => self.note(Failure::of(format!("connect {peer}"), &error)),
            }
        }
        self.meter.add_received(received.data.len());
        stdout.write(received.data).await?;
        let mut stdin = Stdin::open(datagrams::PIECE)?;
        let terms = self.terms();
        datagrams::exchange(socket, &peer, &mut stdin, &mut stdout, terms, &self.meter).await?;
        stdout.finish().await
    }

    /// Where to listen: without a host at all addresses, as nc(1) does.
    async fn address(
        &self,
        host: Option<&str>,
        port: &str,
        kind: SocketType,
    ) -> Result<SocketAddr, Failure> {
        let any: IpAddr = match self.dialing.domain {
            Some(Domain::Inet6) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let any = self.nc.source.unwrap_or(any).to_string();
        let host = host.unwrap_or(&any);
        let addresses = self.dialing.resolve(&self.client, host, port, kind);
        let first = addresses.await?.into_iter().next();
        first.ok_or_else(|| Failure::Local(format!("resolve {host}: no address")))
    }
}

fn listening(at: impl Display) -> String {
    format!("listening on {at}")
}
