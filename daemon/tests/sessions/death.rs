//! A client dies: its sockets and its operations are gone within the lease and a second, and the daemon is as it was.
//!
//! `FARSOCK_DEATH_ROUNDS` says how often (default 3).

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use farsock_client::{
    Client, Domain, Operation, Protocol, SessionOptions, SocketOptions, SocketType, UnixDatagram,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::support::PATIENCE;

const HANDLES: usize = 1000;
const WAITING: usize = 200;
const LEASE: Duration = Duration::from_secs(1);
/// What the allocator may keep from one round to the next, in KiB. The first round's sockets and operations took several times that.
const RSS_MARGIN: u64 = 4096;
/// Where the daemon is that the client of this process is to use: set when the test starts itself again.
const ADDRESS: &str = "FARSOCK_DEATH_ADDRESS";

#[tokio::test]
async fn a_killed_client_is_gone_within_its_lease_and_a_second_and_leaves_nothing() {
    let rounds = std::env::var("FARSOCK_DEATH_ROUNDS");
    let rounds = rounds.map_or(3, |rounds| rounds.parse().expect("a number"));
    let directory = Directory::new("death");
    let address = format!("unix://{}", directory.0.join("daemon.sock").display());
    let daemon = start_daemon(&address).await;
    let process = PathBuf::from(format!("/proc/{}", daemon.id().expect("it runs")));
    let observer = Client::builder().unary(true).connect(&address).await;
    let observer = observer.expect("it connects");
    let descriptors = descriptors(&process);

    let mut after_first = None;
    for round in 1..=rounds {
        let mut client = start_client(&address).await;
        let sessions = observer.sessions().await.expect("a list");
        let [session] = sessions.as_slice() else {
            panic!("{sessions:?} is not the client's alone");
        };
        assert_eq!(session.sockets as usize, HANDLES);
        assert_eq!(session.in_flight as usize, WAITING);
        assert!(self::descriptors(&process) >= descriptors + HANDLES);

        let killed = Instant::now();
        client.kill().await.expect("it runs");
        let gone = async {
            while !observer.sessions().await.expect("a list").is_empty()
                || !observer.sockets().await.expect("a list").is_empty()
                || self::descriptors(&process) > descriptors
            {}
            killed.elapsed()
        };
        let gone = timeout(PATIENCE, gone).await.expect("it is noticed");
        assert!(gone < LEASE + Duration::from_secs(1), "after {gone:?}");
        assert_eq!(self::descriptors(&process), descriptors);

        let rss = rss(&process);
        let _ = writeln!(
            std::io::stderr(),
            "round {round}: gone after {gone:.2?}, RSS {rss} KiB"
        );
        let bound = *after_first.get_or_insert(rss) + RSS_MARGIN;
        assert!(rss <= bound, "RSS of {rss} KiB is over {bound} KiB");
    }
}

/// The client that is killed: this program again, told where the daemon is.
#[tokio::test]
#[ignore = "started by the test above, with an address"]
async fn the_client_that_is_killed() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let session = SessionOptions::new().lease(LEASE).label("to be killed");
    let client = Client::builder().session(session).connect(&address).await;
    let client = client.expect("it connects");
    let (near, far) = UnixDatagram::pair(&client).await.expect("a pair");
    let mut handles = vec![near.into_socket()];
    while handles.len() < HANDLES - 1 {
        let (domain, kind) = (Domain::Inet, SocketType::Stream);
        let options = SocketOptions::new();
        let socket = client
            .socket_with(domain, kind, Protocol::Default, options)
            .await;
        handles.push(socket.expect("a socket"));
    }
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut receive = Operation::new(far.recv(64)).notify_waiting();
        assert!(receive.waiting().await, "nothing was sent");
        waiting.push(receive);
    }
    let mut output = std::io::stdout();
    writeln!(output, "ready").expect("somebody reads");
    output.flush().expect("somebody reads");
    std::future::pending().await
}

pub(crate) async fn start_daemon(address: &str) -> Child {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_farsockd"))
        .args(["--listen", address])
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
            if line.contains("listening on ") {
                return;
            }
        }
        panic!("the daemon ended");
    };
    timeout(PATIENCE, listening).await.expect("it listens");
    // A log that nobody reads must not stop the daemon.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    daemon
}

async fn start_client(address: &str) -> Child {
    let mut client = Command::new(std::env::current_exe().expect("it has a path"))
        .args([
            "--exact",
            "death::the_client_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(ADDRESS, address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(client.stdout.take().expect("it is piped")).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("it is readable") {
            if line.contains("ready") {
                return;
            }
        }
        panic!("the client ended");
    };
    timeout(PATIENCE, ready).await.expect("it gets ready");
    client
}

fn descriptors(process: &Path) -> usize {
    fs::read_dir(process.join("fd")).expect("it runs").count()
}

/// What the process holds of memory, in KiB.
fn rss(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// A directory of the test's own, gone at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(of: &str) -> Self {
        let name = format!("farsock-{of}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new name");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
