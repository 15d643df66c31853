//! What the tests share: directories of their own, servers in this process, daemons as processes, and clients.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use farsock_daemon::{
    EssentialEnded, config::Config, listener::ListenAddress, server::Server, shutdown::Shutdown,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// How long anything may take before its test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of the test's own, gone at its end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!(
            "farsock-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir(&path).expect("a new name");
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server in this process.
pub(crate) struct Serving {
    pub(crate) addresses: Vec<ListenAddress>,
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<Result<(), EssentialEnded>>,
}

impl Serving {
    pub(crate) async fn start(config: Config) -> Self {
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

    /// At a port of the loopback that the kernel chooses.
    pub(crate) async fn tcp() -> Self {
        Self::start(at("tcp://127.0.0.1:0")).await
    }

    pub(crate) async fn client(&self) -> Channel {
        connect(&self.addresses[0]).await.expect("it is served")
    }

    pub(crate) async fn raw(&self) -> tokio::net::TcpStream {
        let ListenAddress::Tcp(address) = self.addresses[0] else {
            panic!("not a TCP listener");
        };
        tokio::net::TcpStream::connect(address)
            .await
            .expect("it listens")
    }

    pub(crate) async fn ended(self) {
        timeout(PATIENCE, self.task)
            .await
            .expect("it ends")
            .expect("without a panic")
            .expect("because it was told to");
    }
}

/// The defaults, at one address.
pub(crate) fn at(address: &str) -> Config {
    let mut config = Config::embedded();
    config.listen = vec![address.parse().expect("an address")];
    config
}

pub(crate) fn unix(path: &Path) -> Config {
    at(&format!("unix://{}", path.display()))
}

pub(crate) async fn connect(address: &ListenAddress) -> Result<Channel, tonic::transport::Error> {
    let uri = address.to_string().replace("tcp://", "http://");
    Endpoint::from_shared(uri)?.connect().await
}

/// The whole daemon's health: 1 is SERVING.
pub(crate) async fn health(channel: Channel) -> Result<i32, tonic::Status> {
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await?;
    Ok(answer.into_inner().status)
}

/// farsockd, in a process of its own that ends with the test.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) log: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    pub(crate) fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        // The tests' own surroundings must not configure it.
        command
            .env_clear()
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("it starts");
        let stderr = child.stderr.take().expect("it is piped");
        Self {
            child,
            log: BufReader::new(stderr).lines(),
        }
    }

    /// farsockd with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Self::command(FARSOCKD).args(arguments))
    }

    /// The first line of the log that has `text`, from there on.
    pub(crate) async fn logs(&mut self, text: &str) -> String {
        let line = async {
            while let Some(line) = self.log.next_line().await.expect("it is readable") {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("the daemon ended without logging {text:?}");
        };
        timeout(PATIENCE, line).await.expect("it logs")
    }

    /// Where it says it listens.
    pub(crate) async fn address(&mut self) -> ListenAddress {
        let line = self.logs("listening on ").await;
        let (_, address) = line.split_once("listening on ").expect("it has it");
        address.trim().parse().expect("an address")
    }

    pub(crate) async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        exit_code(&mut self.child).await
    }
}

pub(crate) async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs");
    let sent = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {id}")])
        .status()
        .await;
    assert!(sent.expect("sh runs").success());
}

/// The process's exit code; `None` if a signal ended it.
pub(crate) async fn exit_code(child: &mut Child) -> Option<i32> {
    let status: io::Result<_> = timeout(PATIENCE, child.wait()).await.expect("it ends");
    status.expect("it is waited for").code()
}

pub(crate) const FARSOCKD: &str = env!("CARGO_BIN_EXE_farsockd");
