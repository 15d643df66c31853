//! Connects from the daemon's host, to names that are resolved there.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use farsock_client::{
    Address, Client, ConnectOptions, Domain, Error, Protocol, RemoteSocket, ResolveOptions,
    SocketOptions, SocketType, TcpListener, TcpStream, UnixAddress, UnixStream,
};
use farsock_proto::v1::SocketOption;

use super::duplex::{self, Stream};
use crate::exit::{Failure, Tried};

/// How to connect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dialing {
    /// Addresses of this domain alone.
    pub(crate) domain: Option<Domain>,
    /// Hosts are numeric: no server is asked.
    pub(crate) numeric: bool,
    /// The source's address; none: the kernel's choice.
    pub(crate) source: Option<IpAddr>,
    /// The source's port; 0: the kernel's choice.
    pub(crate) source_port: u16,
    /// How long a look-up, and each try of an address, may take.
    pub(crate) timeout: Option<Duration>,
}

/// A connection that was made.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    /// Its other end.
    pub(crate) peer: SocketAddr,
    /// Its own end, if the kernel told it.
    pub(crate) local: Option<SocketAddr>,
}

impl Dialing {
    /// Connects to the first of the host's addresses that lets it; the error is the last one's.
    pub(crate) async fn tcp(
        &self,
        client: &Client,
        host: &str,
        service: &str,
    ) -> Result<Dialed, Failure> {
        let addresses = self
            .resolve(client, host, service, SocketType::Stream)
            .await?;
        self.tcp_to(client, &addresses, host, service).await
    }

    /// As [`tcp`](Self::tcp), to addresses that the host and the service were resolved to.
    pub(crate) async fn tcp_to(
        &self,
        client: &Client,
        addresses: &[SocketAddr],
        host: &str,
        service: &str,
    ) -> Result<Dialed, Failure> {
        let tried = || format!("connect {host} {service}");
        let mut last = Failure::Local(format!("resolve {host}: no address"));
        for &peer in addresses {
            match self.connect(client, SocketType::Stream, peer).await {
                Ok((socket, local)) => {
                    let stream = duplex::tcp(TcpStream::from_socket(socket));
                    return Ok(Dialed {
                        stream,
                        peer,
                        local,
                    });
                }
                Err(error) => last = Failure::of(tried(), &error),
            }
        }
        Err(last)
    }

    /// A UDP socket whose peer is the first of the host's addresses.
    pub(crate) async fn udp(
        &self,
        client: &Client,
        host: &str,
        service: &str,
    ) -> Result<(RemoteSocket, SocketAddr), Failure> {
        let addresses = self
            .resolve(client, host, service, SocketType::Dgram)
            .await?;
        let none = || Failure::Local(format!("resolve {host}: no address"));
        let peer = *addresses.first().ok_or_else(none)?;
        let (socket, _) = self
            .connect(client, SocketType::Dgram, peer)
            .await
            .tried(|| format!("connect {host} {service}"))?;
        Ok((socket, peer))
    }

    /// The host's addresses on the daemon's host, in its resolver's order.
    pub(crate) async fn resolve(
        &self,
        client: &Client,
        host: &str,
        service: &str,
        kind: SocketType,
    ) -> Result<Vec<SocketAddr>, Failure> {
        // What needs no look-up costs no round trip.
        if let (Ok(host), Ok(port)) = (host.parse::<IpAddr>(), service.parse()) {
            let address = SocketAddr::new(host, port);
            if self
                .domain
                .is_none_or(|domain| domain == domain_of(address))
            {
                return Ok(vec![address]);
            }
        }
        let options = ResolveOptions {
            domain: self.domain,
            kind: Some(kind),
            numeric_host: self.numeric,
            canonical_name: false,
            timeout: self.timeout,
        };
        let resolution = client
            .resolve_with(host, service, options)
            .await
            .tried(|| format!("resolve {host} {service}").trim_end().to_owned())?;
        let addresses = resolution.addresses.iter();
        Ok(addresses
            .filter_map(|entry| entry.address.as_ip())
            .collect())
    }

    /// Makes a socket, binds it if there is a source, and connects it, in one round trip.
    async fn connect(
        &self,
        client: &Client,
        kind: SocketType,
        peer: SocketAddr,
    ) -> Result<(RemoteSocket, Option<SocketAddr>), Error> {
        let options = ConnectOptions {
            timeout: self.timeout,
        };
        let mut pipeline = client.pipeline();
        let made = match kind {
            SocketType::Stream => duplex::reset_on_close(SocketOptions::new()),
            _ => SocketOptions::new(),
        };
        let socket = pipeline
            .socket_with(domain_of(peer), kind, Protocol::Default, made)
            .await?;
        let local = {
            let source = self.source_for(peer);
            let binding = source.map(|source| pipeline.then(socket.bind(source)));
            let connecting = pipeline.then(socket.connect_with(peer, options));
            if let Some(binding) = binding {
                binding.await?;
            }
            connecting.await?.and_then(|local| local.as_ip())
        };
        Ok((socket, local))
    }

    /// What to bind to before connecting.
    fn source_for(&self, peer: SocketAddr) -> Option<SocketAddr> {
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        match (self.source, self.source_port) {
            (None, 0) => None,
            (source, port) => Some(SocketAddr::new(source.unwrap_or(any), port)),
        }
    }
}

/// Connects to a unix socket of the daemon's host.
pub(crate) async fn unix(client: &Client, path: &str) -> Result<Stream, Failure> {
    let stream = UnixStream::connect(client, unix_path(path))
        .await
        .tried(|| format!("connect {path}"))?;
    Ok(duplex::unix(stream))
}

/// A TCP socket of the daemon's host that waits for connections, which have [`duplex::reset_on_close`].
pub(crate) async fn listen(client: &Client, address: SocketAddr) -> Result<TcpListener, Error> {
    let options = SocketOptions::new().option(SocketOption::SoReuseaddr, true);
    TcpListener::bind_with(client, address, duplex::reset_on_close(options)).await
}

/// The address of a path on the daemon's host.
pub(crate) fn unix_path(path: &str) -> Address {
    UnixAddress::Path(path.to_owned()).into()
}

pub(crate) fn domain_of(address: SocketAddr) -> Domain {
    match address {
        SocketAddr::V4(_) => Domain::Inet,
        SocketAddr::V6(_) => Domain::Inet6,
    }
}
