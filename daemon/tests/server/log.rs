//! The log's destination fails in every way that it can: the daemon serves, drains and ends as if nobody looked.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Stdio,
};

use farsock_daemon::listener::ListenAddress;
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use tonic::transport::Channel;

use crate::support::{Daemon, Directory, FARSOCKD, PATIENCE, connect, exit_code, health, signal};

/// A daemon that logs each connection to `stderr`, and a client of it.
struct Logging {
    address: ListenAddress,
    child: Child,
    _directory: Directory,
}

impl Logging {
    async fn to(stderr: impl Into<Stdio>) -> Self {
        let mut command = Daemon::command(FARSOCKD);
        command.stderr(stderr);
        Self::start(&mut command).await
    }

    /// Starts it by a shell, which does `redirection` first.
    async fn by_shell(redirection: &str) -> Self {
        let mut command = Daemon::command("/bin/sh");
        command.args(["-c", &format!("{redirection}; exec \"$@\""), "sh", FARSOCKD]);
        Self::start(&mut command).await
    }

    async fn start(command: &mut Command) -> Self {
        let directory = Directory::new();
        let listen = format!("unix://{}", directory.join("x.sock").display());
        command.args(["--log-level=debug", "--listen", &listen]);
        let child = command.spawn().expect("it starts");
        Self {
            address: listen.parse().expect("an address"),
            child,
            _directory: directory,
        }
    }

    /// A new connection, once there is something to connect to.
    async fn client(&self) -> Channel {
        let connected = async {
            loop {
                match connect(&self.address).await {
                    Ok(channel) => return channel,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        timeout(PATIENCE, connected).await.expect("it listens")
    }

    /// Serves many connections, each of which is logged, and then ends in order.
    async fn serves_and_drains(mut self) {
        for _ in 0..100 {
            let answer = timeout(PATIENCE, health(self.client().await)).await;
            assert_eq!(answer.expect("in time").expect("it answers"), 1);
        }
        signal(&self.child, "TERM").await;
        assert_eq!(exit_code(&mut self.child).await, Some(0));
    }
}

#[tokio::test]
async fn a_log_on_a_full_disk_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    Logging::to(full).await.serves_and_drains().await;
}

#[tokio::test]
async fn a_log_beyond_the_limit_of_a_files_size_stops_nothing() {
    let directory = Directory::new();
    let file = directory.join("log");
    let redirection = format!("ulimit -f 0; exec 2>{}", file.display());
    Logging::by_shell(&redirection)
        .await
        .serves_and_drains()
        .await;
}

#[tokio::test]
async fn a_log_whose_reader_has_ended_stops_nothing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Logging::to(writer).await.serves_and_drains().await;
    // As journald's, when it restarts.
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    Logging::to(OwnedFd::from(writer))
        .await
        .serves_and_drains()
        .await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let (_reader, writer) = full_pipe();
    Logging::to(writer).await.serves_and_drains().await;
}

#[tokio::test]
async fn a_daemon_without_standard_error_serves() {
    Logging::by_shell("exec 2>&-")
        .await
        .serves_and_drains()
        .await;
}

#[tokio::test]
async fn a_start_that_fails_has_its_exit_code_though_nobody_reads_why() {
    for (arguments, code) in [
        // The kernel gives no socket there.
        (&["--listen=unix:///proc/x.sock"][..], 1),
        (&["--config=/nonexistent"], 2),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Daemon::command(FARSOCKD);
        let mut child = command.args(arguments).stderr(full).spawn().unwrap();
        assert_eq!(exit_code(&mut child).await, Some(code), "{arguments:?}");
    }
    let (_reader, writer) = full_pipe();
    let mut command = Daemon::command(FARSOCKD);
    command.stderr(writer).arg("--listen=unix:///proc/x.sock");
    let mut child = command.spawn().unwrap();
    assert_eq!(exit_code(&mut child).await, Some(1));
}

#[tokio::test]
async fn what_a_reader_missed_is_counted_once_it_reads_again() {
    let (mut reader, writer) = full_pipe();
    let logging = Logging::to(writer).await;
    // Each connection is a line or two; a MiB of them is kept.
    let ListenAddress::Unix(path) = &logging.address else {
        panic!("not a unix socket");
    };
    drop(logging.client().await);
    for _ in 0..40 {
        // Fewer than the listener's backlog; accepted in their order, and so before the last, which is answered.
        for _ in 0..200 {
            drop(tokio::net::UnixStream::connect(path).await.unwrap());
        }
        assert_eq!(health(logging.client().await).await.unwrap(), 1);
    }
    let reading = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while !String::from_utf8_lossy(&text).contains("lines of the log were lost") {
            let count = reader.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "it ended without a word of it");
            text.extend_from_slice(&buffer[..count]);
        }
        reader
    });
    let read = tokio::task::spawn_blocking(|| reading.join().unwrap());
    let _reader = timeout(PATIENCE, read).await.expect("it is said").unwrap();
    logging.serves_and_drains().await;
}

/// A pipe without room.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer
        .write_all(&[b'x'; 65_536])
        .expect("as much as it takes");
    (reader, writer)
}
