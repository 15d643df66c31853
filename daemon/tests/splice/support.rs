//! What these tests share: a daemon, sockets of it with peers in this process, and looking at what waits.

use std::{
    future::Future,
    os::linux::net::SocketAddrExt as _,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use farsock_client::{
    Client, Domain, Error, ErrorKind, Protocol, RemoteSocket, Result, SocketType, Spliced,
    SplicedDirection,
};
use farsock_daemon::Embedded;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};

/// How long anything may take before its test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon in this process, and a client of it.
pub(crate) async fn embedded() -> (Embedded, Client) {
    farsock_daemon::raise_descriptor_limit();
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector())
        .await
        .expect("the daemon in this process can be reached");
    (daemon, client)
}

/// A TCP connection: the daemon's end, and the other.
pub(crate) async fn tcp(client: &Client) -> (RemoteSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (near, far) = tokio::join!(client.tcp_stream(address), listener.accept());
    let near = near.expect("it listens").into_socket();
    (near, far.expect("somebody connects").0)
}

/// A unix connection: the daemon's end, and the other.
pub(crate) async fn unix(client: &Client) -> (RemoteSocket, UnixStream) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("farsock-splice-{}-{number}", std::process::id());
    let address =
        std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a short name is one");
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("the name is new");
    let near = client
        .socket(Domain::Unix, SocketType::Stream, Protocol::Default)
        .await
        .expect("a socket");
    near.connect(format!("unix-abstract:{name}").as_str())
        .await
        .expect("it listens");
    let (far, _) = listener.accept().expect("somebody has connected");
    far.set_nonblocking(true).expect("it is open");
    let far = UnixStream::from_std(far).expect("there is a runtime");
    (near, far)
}

/// Two connected unix sockets of the daemon.
pub(crate) async fn pair(client: &Client, kind: SocketType) -> (RemoteSocket, RemoteSocket) {
    client
        .socket_pair(Domain::Unix, kind, Protocol::Default)
        .await
        .expect("a pair")
}

/// A relay on a task of its own.
pub(crate) fn relay(first: &RemoteSocket, second: &RemoteSocket) -> JoinHandle<Result<Spliced>> {
    let first = first.client().adopt(first.handle());
    let second = second.handle();
    tokio::spawn(async move { first.splice(&second).await })
}

/// How a relay on a task of its own has ended, which must be soon.
pub(crate) async fn ended(relay: JoinHandle<Result<Spliced>>) -> Result<Spliced> {
    in_time(relay).await.expect("no panic")
}

/// Both directions of a relay between two sockets.
pub(crate) fn both(spliced: Spliced) -> (SplicedDirection, SplicedDirection) {
    let back = spliced.second_to_first.expect("they are not the same");
    (spliced.first_to_second, back)
}

/// The direction has moved so many bytes, all it took, until the end of the stream.
#[track_caller]
pub(crate) fn assert_whole(direction: &SplicedDirection, bytes: usize) {
    assert!(direction.error.is_none(), "{direction:?}");
    assert_eq!((direction.bytes, direction.undelivered), (bytes as u64, 0));
}

/// The kernel ended a direction, by this call on this handle.
#[track_caller]
pub(crate) fn assert_kernel(error: Option<Error>, expected: &str, call: &str, on: u64) {
    let error = error.expect("it did not end well");
    match error.kind() {
        ErrorKind::Kernel {
            name,
            syscall,
            handle,
            ..
        } => assert_eq!(
            (name.as_str(), syscall.as_str(), *handle),
            (expected, call, Some(on))
        ),
        _ => panic!("{error} is not the kernel's"),
    }
}

/// Sends all of `data` and the end of the stream, receives until the other end's, and tells what that was.
pub(crate) async fn exchange(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    data: Vec<u8>,
) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        write.write_all(&data).await.expect("it is connected");
        write.shutdown().await.expect("it is connected");
    });
    let mut received = Vec::new();
    in_time(read.read_to_end(&mut received))
        .await
        .expect("it is connected");
    sending.await.expect("no panic");
    received
}

/// Bytes that are like no others: another seed, others.
pub(crate) fn noise(mut seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend(seed.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The future's outcome, which must come.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes no time worth mentioning")
}

/// Returns when so many operations wait on the socket.
pub(crate) async fn until_waiting(socket: &RemoteSocket, count: u32) {
    until(async || {
        let info = socket.info().await.expect("it is there");
        info.waiting_operations == count
    })
    .await;
}

/// Returns when it holds.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(reached).await;
}
