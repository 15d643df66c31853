//! `farsock nc`: stdin and stdout to and from a socket of the daemon's host.

mod datagrams;
mod exchange;
mod listen;
mod plan;
mod stdio;

use std::{net::IpAddr, sync::Arc, time::Duration};

use farsock_client::{Client, Domain, SocketType, UnixDatagram};
use farsock_proto::time::parse_duration;

use self::{
    exchange::Terms,
    plan::{Plan, Words},
    stdio::{Stdin, Stdout},
};
use crate::{
    args::Global,
    exit::{Failure, Tried},
    output,
    traffic::{
        dial::{self, Dialing},
        duplex::Stream,
        meter::Meter,
        progress::Progress,
        signals::Signals,
    },
};

/// Bytes of stdin that are read at once, at most.
const PIECE: usize = 256 << 10;

/// Connect stdin and stdout with a socket of the daemon's host, as nc(1) does
///
/// Connects to a port of a host, or to a unix socket with -U, or waits for a connection with -l; sends what stdin has, and writes to
/// stdout what is received, byte for byte: on a terminal, what a peer sends can drive it. Names are resolved on the daemon's host, and everything happens from there.
///
/// At stdin's end the sending direction ends too (half-close, nc's -N), after all of it was sent; -K keeps it open. nc ends when both
/// directions have ended, and at the peer's end already if stdin is a terminal, or with -k. UDP has no end: there -q, -w or Ctrl-C
/// ends it. When it has ended well, all of stdin is with the kernel of the daemon's host.
///
/// The sockets live in a session of this command's own, which ends with it, whatever --session says. --timeout is how long connecting
/// may take. Ctrl-C, SIGTERM, SIGHUP and SIGQUIT end the session at once, with exit status 130, 130, 129 and 131. A TCP connection that has not
/// ended by then is reset, as by every other end that comes too early: its peer does not take for complete what was cut off. Where this command
/// is killed (SIGKILL), that takes up to 30 s. A unix socket knows a reset only where bytes are left unread.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock nc example.org 80 < request
  farsock nc -l 4000 > file                 and farsock nc HOST 4000 < file --progress
  farsock nc -v -l 127.0.0.1 0              \"listening on 127.0.0.1:41357\" on stderr
  farsock nc -lk -U /run/log.sock           one connection after the other
  farsock nc -u -w 1s 192.0.2.1 53 < query
  farsock nc -zv localhost 20-30            which ports are open")]
pub(crate) struct Nc {
    /// The host, or the address to listen at [with -l: all of the daemon's host]; with -U a path
    #[arg(value_name = "HOST|PATH")]
    first: Option<String>,
    /// The port, or the service's name; with -z also a range such as 20-30
    #[arg(value_name = "PORT")]
    second: Option<String>,
    /// Wait for a connection instead of making one
    ///
    /// Without a host it listens at all IPv4 addresses, with -6 at all IPv6 ones. Who comes after the first is refused, unless with -k.
    #[arg(short, long)]
    listen: bool,
    /// With -l: one connection after the other, until Ctrl-C; with -u: the datagrams of every sender
    ///
    /// Stdin is read on from one connection to the next. A connection that fails is told on stderr.
    #[arg(short, long, requires = "listen")]
    keep_listening: bool,
    /// UDP: each piece that is read from stdin, at most 16384 bytes, is a datagram; with -U: unix datagrams
    ///
    /// With -l, the first datagram's sender becomes the peer.
    #[arg(short, long)]
    udp: bool,
    /// A unix socket of the daemon's host
    #[arg(short = 'U', long, conflicts_with_all = ["ipv4", "ipv6", "source", "port"])]
    unix: bool,
    /// Only addresses of IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only addresses of IPv6
    #[arg(short = '6', long)]
    ipv6: bool,
    /// The host is numeric: ask no server
    #[arg(short, long)]
    numeric: bool,
    /// The address to connect from; with -l and without a host, the one to listen at
    #[arg(short, long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// The port to connect from; with -l, the one to listen at
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,
    /// End the sending direction at stdin's end: so it is anyway
    #[arg(short = 'N', hide_short_help = true)]
    half_close: bool,
    /// Keep the sending direction open at stdin's end
    #[arg(short = 'K', long, conflicts_with = "half_close")]
    keep_open: bool,
    /// How long to wait for the peer after stdin's end, such as 500ms [default: until it ends]
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration)]
    quit: Option<Duration>,
    /// How long connecting may take, and how long nothing may move then [default: no limit]
    ///
    /// Connecting then fails with TIMED_OUT; with -l, waiting for a connection has no limit. A connection on which nothing moves is closed, with exit status 0, or 1 and a reset if its peer
    /// did not take all that was sent.
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Only see which ports let one connect, and send nothing; 0 if one does
    ///
    /// TCP only: UDP does not tell whether a port is open.
    #[arg(short = 'z', long, conflicts_with_all = ["listen", "unix"])]
    scan: bool,
    /// Tell on stderr what happens
    #[arg(short, long)]
    verbose: bool,
    /// Show on stderr how much was moved and how fast: a bar on a terminal, a line a second elsewhere
    #[arg(long)]
    progress: bool,
}

impl Nc {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.scan && self.udp {
            let message = "-z is TCP only: UDP does not tell whether a port is open";
            return Err(Failure::Usage(message.to_owned()));
        }
        let words = Words {
            first: self.first.as_deref(),
            second: self.second.as_deref(),
            listen: self.listen,
            unix: self.unix,
            scan: self.scan,
            source_port: self.port,
            source: self.source.is_some(),
        };
        let plan = words.plan().map_err(Failure::Usage)?;
        let mut signals = Signals::install()?;
        let connection = tokio::select! {
            opened = global.open_session("nc") => opened?,
            code = signals.next() => return Err(Failure::Interrupted(code)),
        };
        let nc = Running {
            client: connection.clone(),
            dialing: self.dialing(global),
            meter: Arc::new(Meter::start()),
            nc: self,
        };
        let progress = nc
            .nc
            .progress
            .then(|| Progress::start(Arc::clone(&nc.meter), Stdin::size()));
        let result = tokio::select! {
            result = nc.carry_out(plan) => result,
            code = signals.next() => Err(Failure::Interrupted(code)),
        };
        if let Some(progress) = progress {
            progress.end();
        }
        drop(nc);
        connection.end().await;
        result
    }

    fn dialing(&self, global: &Global) -> Dialing {
        let domain = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Domain::Inet),
            (_, true) => Some(Domain::Inet6),
            _ => None,
        };
        Dialing {
            domain,
            numeric: self.numeric,
            source: self.source,
            source_port: self.port.unwrap_or_default(),
            timeout: self.wait.or(global.timeout),
        }
    }
}

/// The command, with what it needs as it goes on.
struct Running {
    nc: Nc,
    client: Client,
    dialing: Dialing,
    meter: Arc<Meter>,
}

impl Running {
    async fn carry_out(&self, plan: Plan) -> Result<(), Failure> {
        match plan {
            Plan::Scan { host, ports } => self.scan(&host, ports).await,
            Plan::Connect { host, port } if self.nc.udp => {
                let (socket, peer) = self.dialing.udp(&self.client, &host, &port).await?;
                self.note(format_args!("sending to {host} ({peer}) [udp]"));
                self.datagrams(&socket, &format!("{host} {port}")).await
            }
            Plan::Connect { host, port } => {
                let dialed = self.dialing.tcp(&self.client, &host, &port).await?;
                self.succeeded(&host, &port, dialed.peer);
                self.one(dialed.stream).await
            }
            Plan::ConnectUnix { path } if self.nc.udp => {
                let socket = UnixDatagram::unbound(&self.client)
                    .await
                    .tried(|| "socket unix-dgram".to_owned())?;
                socket
                    .connect(dial::unix_path(&path))
                    .await
                    .tried(|| format!("connect {path}"))?;
                self.note(format_args!("sending to {path} [unix-dgram]"));
                self.datagrams(socket.socket(), &path).await
            }
            Plan::ConnectUnix { path } => {
                let stream = dial::unix(&self.client, &path).await?;
                self.note(format_args!("Connection to {path} [unix] succeeded!"));
                self.one(stream).await
            }
            Plan::Listen { host, port } => self.listen(host.as_deref(), &port).await,
            Plan::ListenUnix { path } => self.listen_unix(&path).await,
        }
    }

    /// Tries each port, and goes well if one lets itself be connected to.
    async fn scan(&self, host: &str, ports: std::ops::RangeInclusive<u16>) -> Result<(), Failure> {
        let mut open = 0;
        let mut last = None;
        // Looked up once: what is no name at one port is none at the next.
        let first = ports.start().to_string();
        let addresses = self
            .dialing
            .resolve(&self.client, host, &first, SocketType::Stream);
        let mut addresses = addresses.await?;
        for port in ports {
            for address in &mut addresses {
                address.set_port(port);
            }
            let port = port.to_string();
            let dialing = self.dialing.tcp_to(&self.client, &addresses, host, &port);
            match dialing.await {
                Ok(dialed) => {
                    open += 1;
                    dialed.stream.end().await;
                    self.succeeded(host, &port, dialed.peer);
                }
                // Of one port the failure is the command's; of many, each is worth a line only to who asks for it.
                Err(failure @ Failure::Kernel { .. }) | Err(failure @ Failure::Refused { .. }) => {
                    if let Some(before) = last.replace(failure) {
                        self.note(before);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        match last {
            Some(failure) if open == 0 => Err(failure),
            Some(failure) => {
                self.note(failure);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// One connection, with stdin and stdout.
    async fn one(&self, stream: Stream) -> Result<(), Failure> {
        let mut stdin = Stdin::open(PIECE)?;
        let mut stdout = Stdout::open()?;
        self.exchange(stream, &mut stdin, &mut stdout).await?;
        stdout.finish().await
    }

    async fn exchange(
        &self,
        stream: Stream,
        stdin: &mut Stdin,
        stdout: &mut Stdout,
    ) -> Result<(), Failure> {
        let lost = async {
            match self.client.watch_session() {
                Some(mut watch) => Failure::of("session".to_owned(), &watch.over().await),
                None => std::future::pending().await,
            }
        };
        exchange::exchange(stream, stdin, stdout, self.terms(), &self.meter, lost).await
    }

    /// One peer's datagrams, with stdin and stdout.
    async fn datagrams(
        &self,
        socket: &farsock_client::RemoteSocket,
        peer: &str,
    ) -> Result<(), Failure> {
        let mut stdin = Stdin::open(datagrams::PIECE)?;
        let mut stdout = Stdout::open()?;
        let terms = self.terms();
        datagrams::exchange(socket, peer, &mut stdin, &mut stdout, terms, &self.meter).await?;
        stdout.finish().await
    }

    fn terms(&self) -> Terms {
        Terms {
            half_close: !self.nc.keep_open,
            peer_ends: self.nc.keep_listening || Stdin::is_terminal(),
            quit: self.nc.quit,
            idle: self.nc.wait,
        }
    }

    fn succeeded(&self, host: &str, port: &str, peer: std::net::SocketAddr) {
        let address = peer.ip();
        self.note(format_args!(
            "Connection to {host} ({address}) {port} port [tcp] succeeded!"
        ));
    }

    fn note(&self, text: impl std::fmt::Display) {
        if self.nc.verbose {
            output::note(text);
        }
    }
}
