//! A server as a process of its own: started, awaited until it listens, looked at from outside, ended.
//!
//! Threads: one per process reads what it writes to standard error, so that the process never waits for room there; it ends
//! with the process.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Failure;

/// How long a process may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// What the message of a log line begins with that tells the address.
pub(crate) const LISTENING: &str = "listening on tcp://";

/// Raises this process's soft limit of open descriptors to the hard one, for itself and for those that it starts.
///
/// # Errors
/// Those of setrlimit(2).
pub(crate) fn raise_descriptor_limit() -> Result<(), Failure> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// A process that listens. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    started: Instant,
}

impl Process {
    /// Runs `command` and waits until it logs, as JSON on standard error, where it listens.
    ///
    /// # Errors
    /// It cannot be run, ends before it listens (told with what it wrote), or takes longer than 20 s.
    pub(crate) fn start(command: Command) -> Result<Self, Failure> {
        Self::start_peer(command, address_in)
    }

    /// Runs somebody else's program: `address_in` finds in a line on standard error where it listens.
    ///
    /// # Errors
    /// As of [`Process::start`].
    pub(crate) fn start_peer(
        mut command: Command,
        address_in: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let mut child = command
            // A pipe that stays open until this process ends, however it ends: the echo takes that for its own end.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        let stderr = child.stderr.take().ok_or("no standard error")?;

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Once the address is known nobody listens here, but it must still be read.
                let _ = sender.send(line);
            }
        });
        match await_address(&lines, address_in) {
            Ok(address) => Ok(Self {
                child,
                address,
                started,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{program} {error}").into())
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it was run: right before fork(2).
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Its resident memory in bytes: from smaps_rollup (proc_pid_smaps(5)), which counts now, while VmRSS sums up per-CPU
    /// counters that lag behind by up to some hundred KiB.
    ///
    /// # Errors
    /// It is gone, or the kernel does not tell.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        parse_kibibytes(&text, "Rss:").ok_or_else(|| format!("{path}: no Rss").into())
    }

    /// The most resident memory in bytes that it has ever had: VmHWM (proc_pid_status(5)), which may lag behind by some hundred KiB.
    ///
    /// # Errors
    /// As of [`Process::resident_bytes`].
    pub(crate) fn peak_resident_bytes(&self) -> Result<u64, Failure> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        parse_kibibytes(&text, "VmHWM:").ok_or_else(|| format!("{path}: no VmHWM").into())
    }

    /// The CPU time its living threads have used: from schedstat (Documentation/scheduler/sched-stats.rst), in nanoseconds,
    /// where stat has clock ticks of 10 ms.
    ///
    /// # Errors
    /// It is gone, or the kernel does not tell.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut total = Duration::ZERO;
        for task in fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
            total += parse_cpu_time(&text).ok_or_else(|| format!("{path:?}: {text:?}"))?;
        }
        Ok(total)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing but sockets and memory, which the kernel takes back.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn await_address(
    lines: &mpsc::Receiver<String>,
    address_in: impl Fn(&str) -> Option<SocketAddr>,
) -> Result<SocketAddr, String> {
    let deadline = Instant::now() + START_TIMEOUT;
    let mut seen = String::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match address_in(&line) {
                Some(address) => return Ok(address),
                None => {
                    seen.push('\n');
                    seen.push_str(&line);
                }
            },
            Err(RecvTimeoutError::Disconnected) => {
                return Err(format!("ended before it listened; it wrote:{seen}"));
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!(
                    "does not listen after {} s; it wrote:{seen}",
                    START_TIMEOUT.as_secs()
                ));
            }
        }
    }
}

/// The address in a log line such as `{"level":"INFO","message":"listening on tcp://127.0.0.1:7600"}`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let message = line.get("message")?.as_str()?;
    message.strip_prefix(LISTENING)?.parse().ok()
}

/// The bytes of a line such as `Rss:  12 kB`.
pub(crate) fn parse_kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn parse_cpu_time(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_log_line_that_tells_it() {
        let line = r#"{"timestamp":"2025-01-01T00:00:00Z","level":"INFO","message":"listening on tcp://127.0.0.1:7600","target":"t"}"#;
        assert_eq!(address_in(line), Some("127.0.0.1:7600".parse().unwrap()));
        assert_eq!(
            address_in(r#"{"message":"listening on tcp://[::1]:1"}"#),
            Some("[::1]:1".parse().unwrap())
        );
    }

    #[test]
    fn other_lines_tell_no_address() {
        for line in [
            "",
            "listening on tcp://127.0.0.1:7600",
            r#"{"message":"listening on unix:///run/farsock.sock"}"#,
            r#"{"message":7}"#,
        ] {
            assert_eq!(address_in(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_that_ends_at_once_is_told_with_what_it_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such flag >&2; exit 2"]);
        let error = Process::start(command).unwrap_err().to_string();
        assert_eq!(
            error,
            "sh ended before it listened; it wrote:\nno such flag"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_told_by_name() {
        let error = Process::start(Command::new("/nowhere/farsockd")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nowhere/farsockd cannot be run: ")
        );
    }

    #[test]
    fn memory_and_time_of_a_process_are_read_from_proc() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r#"echo '{"message":"listening on tcp://127.0.0.1:9"}' >&2; read line"#,
        ]);
        let process = Process::start(command).unwrap();
        assert_eq!(process.address(), "127.0.0.1:9".parse().unwrap());
        let resident = process.resident_bytes().unwrap();
        assert!(resident > 100_000);
        assert!(process.peak_resident_bytes().unwrap() > 100_000);
        assert!(process.cpu_time().unwrap() > Duration::ZERO);
    }

    #[test]
    fn malformed_proc_files_give_nothing() {
        assert_eq!(parse_kibibytes("Rss:  12 kB\n", "Rss:"), Some(12 * 1024));
        assert_eq!(parse_kibibytes("Pss:  12 kB\n", "Rss:"), None);
        assert_eq!(parse_cpu_time("123 4 5\n"), Some(Duration::from_nanos(123)));
        assert_eq!(parse_cpu_time(""), None);
    }
}
