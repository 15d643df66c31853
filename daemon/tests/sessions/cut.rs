//! The connection between client and daemon is cut again and again, while datagrams and connections pass: each passes once.
//!
//! `FARSOCK_CUT_TEST=full` runs it at full size: a million datagrams, ten thousand connections, and at least five hundred cuts.

use std::{
    collections::{HashSet, VecDeque},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use farsock_client::{Client, RemoteSocket, TcpListener, UnixDatagram};
use farsock_daemon::Embedded;
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

/// How much of it.
struct Size {
    datagrams: u64,
    connections: u64,
    cuts: u64,
    /// A connection's life in milliseconds ...
    life: RangeInclusive<u64>,
    /// ... and the bytes that it carries in both directions: whichever ends first. Bytes, so that there are as many cuts on a fast
    /// machine as on a slow one.
    bytes: RangeInclusive<u64>,
}

const SUITE: Size = Size {
    datagrams: 20_000,
    connections: 200,
    cuts: 20,
    life: 1..=20,
    bytes: 1_000..=100_000,
};

const FULL: Size = Size {
    datagrams: 1_000_000,
    connections: 10_000,
    cuts: 500,
    life: 1..=200,
    bytes: 1_000..=500_000,
};

/// Socket pairs that carry datagrams at the same time.
const PAIRS: u64 = 4;
/// Sends, and receives, in flight on each.
const WINDOW: usize = 32;
/// Accepts in flight.
const ACCEPTS: usize = 8;
/// Connections that wait for their end, at most.
const OPEN: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_every_datagram_and_every_connection_passes_exactly_once() {
    let size = match std::env::var("FARSOCK_CUT_TEST").as_deref() {
        Ok("full") => FULL,
        _ => SUITE,
    };
    let daemon = farsock_daemon::embedded();
    let cutter = Arc::new(Cutter::new(&size, 0x5eed));
    let start = Instant::now();
    let client = Client::connect_with(cutter.connector(&daemon)).await;
    let client = client.expect("the first connection is not cut before it is made");
    cutter.arm();

    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..PAIRS {
        let (near, far) = UnixDatagram::pair(&client).await.expect("a pair");
        let count = size.datagrams / PAIRS;
        tasks.spawn(send_numbers(near, count));
        tasks.spawn(receive_numbers(far, count));
    }
    let listener = client
        .tcp_listener("127.0.0.1:0")
        .await
        .expect("it listens");
    let (address, connections) = (listener.local_addr(), size.connections);
    tasks.spawn_blocking(move || connect(address, connections));
    tasks.spawn(accept_numbers(listener, connections));
    while let Some(ended) = tasks.join_next().await {
        ended.expect("what was sent once came once");
    }

    let cuts = cutter.cuts.load(Ordering::Relaxed);
    let elapsed = start.elapsed();
    let _ = writeln!(
        std::io::stderr(),
        "{} datagrams, {connections} connections, {cuts} cuts, {:.1} MB on the wire, {elapsed:.1?}",
        size.datagrams,
        cutter.carried.load(Ordering::Relaxed) as f64 / 1e6,
    );
    assert!(cuts >= size.cuts, "only {cuts} cuts");
}

async fn send_numbers(socket: UnixDatagram, count: u64) {
    let mut sends = FuturesOrdered::new();
    for number in 0..count {
        if sends.len() == WINDOW {
            assert_eq!(sends.next().await.expect("one is in flight"), 8);
        }
        let socket = &socket;
        let data = number.to_be_bytes().to_vec();
        sends.push_back(async move { socket.send(data).await.expect("it is sent") });
    }
    while let Some(sent) = sends.next().await {
        assert_eq!(sent, 8);
    }
    // Closed here: what is queued stays.
}

async fn receive_numbers(socket: UnixDatagram, count: u64) {
    let mut receives = FuturesOrdered::new();
    let mut asked = 0;
    for number in 0..count {
        while asked < count && receives.len() < WINDOW {
            let socket = &socket;
            receives.push_back(async move { socket.recv(16).await.expect("it is received") });
            asked += 1;
        }
        let received = receives.next().await.expect("one is in flight");
        assert_eq!(received, number.to_be_bytes().as_slice());
    }
}

/// Makes connections, each of which says its number.
fn connect(address: SocketAddr, count: u64) {
    let mut open = VecDeque::new();
    let end = |mut connection: TcpStream| {
        let end = connection.read(&mut [0]);
        assert_eq!(end.expect("it is closed in good order"), 0);
    };
    for number in 0..count {
        let mut connection = TcpStream::connect(address).expect("it listens");
        let said = connection.write_all(&number.to_be_bytes());
        said.expect("there is room for a number");
        open.push_back(connection);
        if open.len() == OPEN {
            end(open.pop_front().expect("it is full"));
        }
    }
    open.into_iter().for_each(end);
}

async fn accept_numbers(listener: TcpListener, count: u64) {
    let mut accepts = FuturesOrdered::new();
    let (mut handles, mut numbers) = (HashSet::new(), HashSet::new());
    let mut asked = 0;
    for _ in 0..count {
        while asked < count && accepts.len() < ACCEPTS {
            accepts.push_back(accept_number(&listener));
            asked += 1;
        }
        let (socket, number) = accepts.next().await.expect("one is in flight");
        assert!(handles.insert(socket.handle()), "a handle came twice");
        assert!(
            number < count && numbers.insert(number),
            "{number} came twice"
        );
        socket.close().await.expect("it was open");
    }
}

async fn accept_number(listener: &TcpListener) -> (RemoteSocket, u64) {
    let (connection, _) = listener.accept().await.expect("it is accepted");
    let socket = connection.into_socket();
    let data = socket.recv(8).await.expect("it says its number").data;
    let number = data.as_ref().try_into().expect("8 bytes, written at once");
    (socket, u64::from_be_bytes(number))
}

/// Connects to a daemon, and cuts the connections again.
struct Cutter {
    life: RangeInclusive<u64>,
    bytes: RangeInclusive<u64>,
    random: AtomicU64,
    armed: tokio::sync::watch::Sender<bool>,
    cuts: AtomicU64,
    carried: AtomicU64,
}

impl Cutter {
    fn new(size: &Size, seed: u64) -> Self {
        Self {
            life: size.life.clone(),
            bytes: size.bytes.clone(),
            random: AtomicU64::new(seed),
            armed: tokio::sync::watch::Sender::new(false),
            cuts: AtomicU64::new(0),
            carried: AtomicU64::new(0),
        }
    }

    /// From now on connections are cut.
    fn arm(&self) {
        self.armed.send_replace(true);
    }

    fn connector(
        self: &Arc<Self>,
        daemon: &Embedded,
    ) -> impl Fn() -> futures_util::future::BoxFuture<'static, std::io::Result<DuplexStream>>
    + Send
    + 'static {
        let (cutter, connector) = (Arc::clone(self), daemon.connector());
        move || {
            let (cutter, opening) = (Arc::clone(&cutter), connector());
            Box::pin(async move {
                let far = opening.await?;
                let (near, proxied) = tokio::io::duplex(1 << 16);
                tokio::spawn(cutter.carry(proxied, far));
                Ok(near)
            })
        }
    }

    /// Carries a connection until it ends or is cut. What is on its way then is lost in part.
    async fn carry(self: Arc<Self>, near: DuplexStream, far: DuplexStream) {
        let life = Duration::from_millis(self.pick(&self.life));
        let left = AtomicU64::new(self.pick(&self.bytes));
        let (near_read, near_write) = tokio::io::split(near);
        let (far_read, far_write) = tokio::io::split(far);
        let mut armed = self.armed.subscribe();
        let old = async {
            let _ = armed.wait_for(|armed| *armed).await;
            tokio::time::sleep(life).await;
        };
        let cut = tokio::select! {
            cut = self.pump(near_read, far_write, &left) => cut,
            cut = self.pump(far_read, near_write, &left) => cut,
            () = old => true,
        };
        self.cuts.fetch_add(cut.into(), Ordering::Relaxed);
    }

    /// Carries one direction. True if the connection is to be cut, false if it ended by itself.
    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        left: &AtomicU64,
    ) -> bool {
        let mut buffer = vec![0; 8192];
        loop {
            let Ok(count @ 1..) = from.read(&mut buffer).await else {
                return false;
            };
            let count = count as u64;
            self.carried.fetch_add(count, Ordering::Relaxed);
            let before = left.load(Ordering::Relaxed);
            let (carried, last) = match *self.armed.borrow() && before <= count {
                true => (before, true),
                false => (count, false),
            };
            left.store(before.saturating_sub(count), Ordering::Relaxed);
            let carried = usize::try_from(carried).expect("a part of the buffer");
            if to.write_all(&buffer[..carried]).await.is_err() {
                return false;
            }
            if last {
                return true;
            }
        }
    }

    /// Evenly one of a range: xorshift64.
    fn pick(&self, range: &RangeInclusive<u64>) -> u64 {
        let step = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^ (x << 17)
        };
        let random = self
            .random
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(step(x)))
            .expect("every step is taken");
        range.start() + step(random) % (range.end() - range.start() + 1)
    }
}
