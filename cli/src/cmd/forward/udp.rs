//! UDP ASSOCIATE: a client's datagrams, sent and received by sockets of the daemon's host.
//!
//! An association has a UDP socket on this host for its client, one on the daemon's for each family that the client sends to, and a
//! task for each of those, which receives; all of them end with the connection that asked for it. Datagrams wait in the kernel's queues
//! and in the client's bounded ones, and are dropped when those are full, as datagrams are.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use farsock_client::{
    Client, Datagrams, DatagramsOptions, Error, OutgoingMessage, SocketType, UdpSocket,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net,
    task::JoinSet,
};

use super::{
    accept::Shared,
    socks::{self, Host, Reply, Request},
};
use crate::{
    exit::{Failure, Tried},
    traffic::{duplex::Stream, meter::Meter},
};

/// Holds every datagram with its header.
const LARGEST: usize = 65_536 + socks::LONGEST;
/// Names whose addresses are remembered for an association; beyond, each datagram costs a look-up.
const NAMES: usize = 256;

/// Serves an association until its connection ends.
pub(super) async fn associate(
    mut control: Stream,
    local: SocketAddr,
    client: SocketAddr,
    request: &Request,
    shared: &Shared,
    daemon: &Client,
    meter: &Meter,
) -> Result<(), Failure> {
    let near = match net::UdpSocket::bind(SocketAddr::new(local.ip(), 0)).await {
        Ok(near) => Arc::new(near),
        Err(error) => {
            let failed = Reply::Failed.message(None);
            let _ = control.write_all(&failed).await;
            control.end().await;
            return Err(Failure::Local(format!("bind {}: {error}", local.ip())));
        }
    };
    let bound = near.local_addr().ok();
    let of_io = |error: std::io::Error| Failure::of_io("receiving".to_owned(), &error);
    let reply = Reply::Succeeded.message(bound);
    control.write_all(&reply).await.map_err(of_io)?;

    let mut association = Association {
        shared,
        daemon,
        near,
        client: client.ip().to_canonical(),
        announced: Some(request.port).filter(|port| *port != 0),
        peer: Arc::default(),
        far: [None, None],
        names: HashMap::new(),
        receivers: JoinSet::new(),
        received: Arc::new(Meter::start()),
    };
    let ended = tokio::select! {
        result = association.send_all(meter) => result,
        () = until_end(&mut control) => association.flush().await,
    };
    let received = association.received.received();
    meter.add_received(usize::try_from(received).unwrap_or(usize::MAX));
    if ended.is_ok() {
        control.end().await;
    }
    ended
}

struct Association<'a> {
    shared: &'a Shared,
    daemon: &'a Client,
    near: Arc<net::UdpSocket>,
    /// Whose datagrams are taken: the connection's client's, from the port it named, if it did.
    client: IpAddr,
    announced: Option<u16>,
    /// Where the first of them came from, and where answers go.
    peer: Arc<OnceLock<SocketAddr>>,
    /// The daemon's sockets, for IPv4 and for IPv6.
    far: [Option<Arc<Far>>; 2],
    names: HashMap<(String, u16), SocketAddr>,
    receivers: JoinSet<()>,
    received: Arc<Meter>,
}

/// A socket of the daemon's, and what it sends and receives: that is dropped first.
struct Far {
    datagrams: Datagrams,
    _socket: UdpSocket,
}

impl Association<'_> {
    /// Sends what the client sends, without end.
    async fn send_all(&mut self, meter: &Meter) -> Result<(), Failure> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let (length, sender) = match self.near.recv_from(&mut buffer).await {
                Ok(received) => received,
                // A datagram to the client came back: it will say itself whether it still is there.
                Err(error) => {
                    self.shared.note(format_args!("{}: {error}", self.client));
                    continue;
                }
            };
            if !self.is_clients(sender) {
                continue;
            }
            match self.send(sender, &buffer[..length]).await {
                Ok(sent) => meter.add_sent(sent),
                // One datagram's alone, as on any way.
                Err(failure @ (Failure::Kernel { .. } | Failure::Local(_))) => {
                    self.shared.note(format_args!("{sender}: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Sends one datagram, and tells how many bytes its payload has.
    async fn send(&mut self, sender: SocketAddr, datagram: &[u8]) -> Result<usize, Failure> {
        let (host, port, payload) =
            socks::datagram(datagram).map_err(|error| Failure::Local(error.text))?;
        let target = self.address(host, port).await?;
        let far = self.far(target).await?;
        let message = OutgoingMessage::new(payload.to_vec()).to(target);
        // An error that the kernel had is one of an earlier datagram's, and told once.
        while let Err(error) = far.datagrams.send([message.clone()]).await {
            self.note_unsent(sender, &error)?;
        }
        Ok(payload.len())
    }

    /// Waits until the kernel of the daemon's host has taken all that was sent.
    async fn flush(&self) -> Result<(), Failure> {
        for far in self.far.iter().flatten() {
            while let Err(error) = far.datagrams.flush().await {
                self.note_unsent(self.client, &error)?;
            }
        }
        Ok(())
    }

    /// Notes that the kernel did not take a datagram of the client's, in the daemon's words: they say where it was to go, which only the
    /// daemon still knows. Any other error is the association's end.
    fn note_unsent(&self, client: impl fmt::Display, error: &Error) -> Result<(), Failure> {
        let text = error.to_string();
        let tried = match text.rsplit_once(": ") {
            Some((tried, _)) if error.errno().is_some() => tried,
            _ => return Err(Failure::of("sendto".to_owned(), error)),
        };
        let failure = Failure::of(tried.to_owned(), error);
        self.shared.note(format_args!("{client}: {failure}"));
        Ok(())
    }

    fn is_clients(&self, sender: SocketAddr) -> bool {
        let announced = self.announced.is_none_or(|port| port == sender.port());
        announced
            && sender.ip().to_canonical() == self.client
            && *self.peer.get_or_init(|| sender) == sender
    }

    async fn address(&mut self, host: Host, port: u16) -> Result<SocketAddr, Failure> {
        let name = match host {
            Host::Ip(ip) => return Ok(SocketAddr::new(ip.to_canonical(), port)),
            Host::Name(name) => name,
        };
        let key = (name, port);
        if let Some(known) = self.names.get(&key) {
            return Ok(*known);
        }
        let dialing = &self.shared.dialing;
        let addresses = dialing
            .resolve(self.daemon, &key.0, &port.to_string(), SocketType::Dgram)
            .await?;
        let none = || Failure::Local(format!("resolve {}: no address", key.0));
        let address = addresses.into_iter().next().ok_or_else(none)?;
        if self.names.len() < NAMES {
            self.names.insert(key, address);
        }
        Ok(address)
    }

    /// The daemon's socket for a target's family.
    async fn far(&mut self, target: SocketAddr) -> Result<Arc<Far>, Failure> {
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let place = &mut self.far[usize::from(target.is_ipv6())];
        if let Some(far) = place {
            return Ok(Arc::clone(far));
        }
        let socket = UdpSocket::bind(self.daemon, SocketAddr::new(any, 0))
            .await
            .tried(|| format!("bind {any}"))?;
        let far = Arc::clone(place.insert(Arc::new(Far {
            datagrams: socket.datagrams(&DatagramsOptions::default()),
            _socket: socket,
        })));
        self.receivers.spawn(receive_all(
            Arc::clone(&far),
            Arc::clone(&self.near),
            Arc::clone(&self.peer),
            Arc::clone(&self.received),
        ));
        Ok(far)
    }
}

/// Passes what comes to a socket of the daemon's to the client. Ends with the association, or with the session.
async fn receive_all(
    far: Arc<Far>,
    near: Arc<net::UdpSocket>,
    peer: Arc<OnceLock<SocketAddr>>,
    received: Arc<Meter>,
) {
    let mut datagram = Vec::new();
    loop {
        let batch = match far.datagrams.recv().await {
            Ok(batch) => batch,
            // Such as an ICMP error of an earlier datagram.
            Err(error) if error.errno().is_some() => continue,
            Err(_) => return,
        };
        for message in batch {
            let sender = message.address.and_then(|address| address.as_ip());
            // The socket exists because of the client's first datagram, and every UDP sender has an address.
            let (Some(peer), Some(sender)) = (peer.get(), sender) else {
                continue;
            };
            datagram.clear();
            socks::put_datagram_header(&mut datagram, sender);
            datagram.extend_from_slice(&message.data);
            if near.send_to(&datagram, peer).await.is_ok() {
                received.add_received(message.data.len());
            }
        }
    }
}

/// The end of a connection that has nothing more to say.
async fn until_end(control: &mut Stream) {
    let mut ignored = [0; 64];
    while matches!(control.read(&mut ignored).await, Ok(1..)) {}
}
