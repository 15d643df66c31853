//! Many readers that are slow: the daemon holds less than their windows, and others on their connection do not feel them.

use std::{
    fs,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use farsock_proto::v1::{self, send_to_request::Payload};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, UdpSocket},
    process::{Child, Command},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

use crate::support::{PATIENCE, Stream, connected, credit, opening, socket, sockets};

const READERS: usize = 300;
const WINDOW: u64 = 64 << 10;
/// How many bytes each reads, one at a time.
const BYTES: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_slow_readers_cost_less_than_their_windows_and_hold_up_nobody_on_their_connection()
 {
    let (daemon, address) = start_daemon().await;
    let connections = Arc::<AtomicUsize>::default();
    let channel = channel(address, Arc::clone(&connections)).await;
    let other = socket(&channel, v1::SocketType::Dgram).await;
    say(&channel, other).await;
    let before = resident(&daemon);

    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let (handle, mut peer) = connected(&channel).await;
        tokio::spawn(async move { while peer.write_all(&[0xf1; 16 << 10]).await.is_ok() {} });
        let mut stream = Stream::open(&channel, opening(handle, WINDOW))
            .await
            .expect("it opens");
        stream.read(usize::try_from(WINDOW).unwrap()).await;
        // All has arrived; nothing of it was read.
        stream.say(credit(WINDOW, WINDOW));
        readers.push(stream);
    }
    for read in 1..=BYTES {
        for stream in &readers {
            stream.say(credit(WINDOW + read - 1, WINDOW + read));
        }
        say(&channel, other).await;
        for stream in &mut readers {
            assert_eq!(stream.read(1).await, [0xf1]);
        }
        say(&channel, other).await;
    }

    let grown = resident(&daemon).saturating_sub(before);
    // All but a byte of each was acknowledged: far less than the windows is left.
    let most = READERS as u64 * WINDOW / 4;
    assert!(grown < most, "{grown} bytes where {most} are too many");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// Sends a datagram by the handle, which arrives.
async fn say(channel: &Channel, handle: u64) {
    let sink = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let to = sink.local_addr().expect("an address").to_string();
    let request = v1::SendToRequest {
        handle,
        address: Some(v1::Address::from(to.as_str())),
        payload: Some(Payload::Data("here".into())),
        ..Default::default()
    };
    let mut sockets = sockets(channel);
    let sent = timeout(PATIENCE, sockets.send_to(request)).await;
    sent.expect("an answer in time").expect("it is sent");
    let mut buffer = [0; 5];
    let received = timeout(PATIENCE, sink.recv(&mut buffer)).await;
    let length = received.expect("a datagram in time").expect("a datagram");
    assert_eq!(&buffer[..length], b"here");
}

/// A daemon whose memory is its own.
pub(crate) async fn start_daemon() -> (Child, SocketAddr) {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_farsockd"))
        .args(["--listen", "tcp://127.0.0.1:0"])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let log = BufReader::new(daemon.stderr.take().expect("it is piped"));
    let mut lines = log.lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.expect("it is readable") {
            if let Some((_, address)) = line.split_once("listening on tcp://") {
                let address = address.split_whitespace().next().expect("an address");
                return address.parse().expect("a numeric one");
            }
        }
        panic!("the daemon ended");
    };
    let address = timeout(PATIENCE, listening).await.expect("it listens");
    // A log that nobody reads must not stop the daemon.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (daemon, address)
}

/// A connection to it, and again one if that ends; `connections` counts them.
pub(crate) async fn channel(daemon: SocketAddr, connections: Arc<AtomicUsize>) -> Channel {
    let connector = tower::service_fn(move |_| {
        connections.fetch_add(1, Ordering::Relaxed);
        async move {
            let stream = TcpStream::connect(daemon).await?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .connect_with_connector(connector)
        .await
        .expect("it is served")
}

/// What the daemon has ever had of memory at once, in bytes.
fn resident(daemon: &Child) -> u64 {
    status(daemon, "VmHWM:")
}

/// A size that proc_pid_status(5) tells of the daemon, in bytes.
pub(crate) fn status(daemon: &Child, name: &str) -> u64 {
    let id = daemon.id().expect("it runs");
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = number
        .and_then(|number| number.parse().ok())
        .expect("a number");
    kibibytes << 10
}
