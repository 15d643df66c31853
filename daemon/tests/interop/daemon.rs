//! farsockd as a process of its own, listening at a port and at a unix socket, and ended with the test.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl Daemon {
    /// Starts it; its first handle is 1.
    pub(crate) fn start() -> Self {
        let folder = new_folder();
        let socket = folder.join("farsock.sock");
        let child = Command::new(env!("CARGO_BIN_EXE_farsockd"))
            .args(["--listen", "tcp://127.0.0.1:0", "--listen"])
            .arg(format!("unix://{}", socket.display()))
            // The tests' own surroundings must not configure it.
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut daemon = Self {
            child,
            folder,
            address: String::new(),
        };
        daemon.address = daemon.listening();
        daemon
    }

    /// Where it listens, as HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("farsock.sock")
    }

    /// Reads its log until it listens at both addresses; the TCP one.
    fn listening(&mut self) -> String {
        let log = self.child.stderr.take().expect("it is piped");
        let mut said = String::new();
        let mut addresses = Vec::new();
        let mut log = BufReader::new(log);
        while addresses.len() < 2 {
            let mut line = String::new();
            let length = log.read_line(&mut line).expect("it is readable");
            assert!(length > 0, "the daemon ended before it listened: {said}");
            said += &line;
            addresses.extend(line.split_once("listening on ").map(|(_, address)| {
                let address = address.trim();
                address.strip_prefix("tcp://").map(str::to_owned)
            }));
        }
        let address = addresses.into_iter().flatten().next();
        address.expect("one of them is TCP")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already; there is nothing else to do here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder of the test's own, with a name short enough for a socket in it.
fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = Path::new(&std::env::temp_dir()).join(format!(
        "farsock-interop-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    fs::create_dir(&folder).expect("a new name");
    folder
}
