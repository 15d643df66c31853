//! What these tests share: daemons with limits, sockets in pairs, and looking at what waits.

use std::{future::Future, time::Duration};

use farsock_client::{
    Client, Domain, Protocol, Reason, RemoteSocket, Result, SocketInfo, SocketType,
};
use farsock_daemon::{
    Embedded, EssentialEnded, config::Config, listener::ListenAddress, server::Server,
    shutdown::Shutdown,
};
use tokio::task::JoinHandle;

/// How long anything may take before its test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon in this process, and a client of it.
pub(crate) async fn embedded() -> (Embedded, Client) {
    farsock_daemon::raise_descriptor_limit();
    let daemon = farsock_daemon::embedded();
    let client = another(&daemon).await;
    (daemon, client)
}

/// One more client, on a connection of its own.
pub(crate) async fn another(daemon: &Embedded) -> Client {
    Client::builder()
        .connect_timeout(PATIENCE)
        .connect_with(daemon.connector())
        .await
        .expect("the daemon in this process can be reached")
}

/// One more client without a session: its sockets outlive it.
pub(crate) async fn without_session(daemon: &Embedded) -> Client {
    Client::builder()
        .unary(true)
        .connect_with(daemon.connector())
        .await
        .expect("the daemon in this process can be reached")
}

/// A daemon with a configuration of its own, that listens.
pub(crate) struct Serving {
    pub(crate) addresses: Vec<ListenAddress>,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), EssentialEnded>>,
}

impl Serving {
    pub(crate) async fn start(change: impl FnOnce(&mut Config), addresses: &[&str]) -> Self {
        let mut config = Config::embedded();
        config.listen = addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect();
        change(&mut config);
        let server = Server::bind(config).await.expect("it listens");
        let addresses = server.addresses();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self {
            addresses,
            shutdown,
            task,
        }
    }

    /// A client of the listener at that place.
    pub(crate) async fn client(&self, place: usize) -> Client {
        Client::builder()
            .connect_timeout(PATIENCE)
            .connect(&self.addresses[place].to_string())
            .await
            .expect("it serves")
    }

    pub(crate) async fn end(self) {
        self.shutdown.drain();
        let ended = in_time(self.task).await.expect("it ends without a panic");
        ended.expect("it ends because it was told to");
    }
}

/// A bound UDP socket.
pub(crate) async fn udp(client: &Client) -> RemoteSocket {
    let socket = client.udp_socket().await.expect("a socket");
    socket
        .bind("127.0.0.1:0")
        .await
        .expect("the loopback has ports");
    socket
}

/// A TCP socket that listens.
pub(crate) async fn listener(client: &Client) -> RemoteSocket {
    let socket = client.tcp_socket().await.expect("a socket");
    socket
        .bind("127.0.0.1:0")
        .await
        .expect("the loopback has ports");
    socket.listen(16).await.expect("it is bound");
    socket
}

/// Two connected unix sockets.
pub(crate) async fn pair(client: &Client, kind: SocketType) -> (RemoteSocket, RemoteSocket) {
    client
        .socket_pair(Domain::Unix, kind, Protocol::Default)
        .await
        .expect("a pair")
}

/// Fills what is between a pair's sockets, and tells how many bytes that took.
pub(crate) async fn fill(socket: &RemoteSocket) -> usize {
    let options = farsock_client::SendOptions {
        flags: farsock_client::MessageFlags::DONTWAIT,
        timeout: None,
    };
    let mut sent = 0;
    loop {
        match socket.send_with(vec![0; 4096], options.clone()).await {
            Ok(count) => sent += count,
            Err(error) if error.errno_name() == Some("EAGAIN") => return sent,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The future's outcome, which must come.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes no time worth mentioning")
}

/// Returns when so many operations wait on the socket.
pub(crate) async fn until_waiting(socket: &RemoteSocket, count: usize) {
    let waiting = async || socket.info().await.expect("it is there").waiting_operations;
    let reached = async {
        while usize::try_from(waiting().await).expect("few") != count {
            a_moment().await;
        }
    };
    in_time(reached).await;
}

/// Returns when nothing waits on any socket of the client's.
pub(crate) async fn until_nothing_waits(client: &Client) -> Vec<SocketInfo> {
    let reached = async {
        loop {
            let sockets = client.sockets().await.expect("the daemon answers");
            if sockets.iter().all(|socket| socket.waiting_operations == 0) {
                return sockets;
            }
            a_moment().await;
        }
    };
    in_time(reached).await
}

/// Between two looks at a state that has no event.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Why the daemon refused or ended the call.
pub(crate) fn reason<T: std::fmt::Debug>(outcome: Result<T>) -> Option<Reason> {
    outcome.expect_err("it cannot end well").reason()
}

/// A call on a task of its own.
pub(crate) fn begin<T, F, R>(socket: &RemoteSocket, call: F) -> JoinHandle<Result<T>>
where
    T: Send + 'static,
    F: FnOnce(RemoteSocket) -> R,
    R: Future<Output = Result<T>> + Send + 'static,
{
    tokio::spawn(call(socket.client().adopt(socket.handle())))
}
