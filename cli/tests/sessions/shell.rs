//! A shell for tests: a daemon on a unix socket of its own, and `farsock` commands that reach it by FARSOCK_ADDR.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use farsock_daemon::{EssentialEnded, config::Config, server::Server, shutdown::Shutdown};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinHandle};

/// A running daemon. Its first handle is 1, so that sessions may use numbers.
pub(crate) struct Shell {
    directory: TempDir,
    address: String,
    runtime: Runtime,
    shutdown: Shutdown,
    server: Option<JoinHandle<Result<(), EssentialEnded>>>,
}

impl Shell {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let address = format!("unix://{}/farsock.sock", directory.path().display());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut shell = Self {
            directory,
            address,
            runtime,
            shutdown: Shutdown::new(),
            server: None,
        };
        shell.start_daemon();
        shell
    }

    /// Starts a daemon, where the one before was stopped.
    pub(crate) fn start_daemon(&mut self) {
        self.shutdown = Shutdown::new();
        let mut config = Config::embedded();
        config.listen = vec![self.address.parse().expect("an address to listen at")];
        let binding = async { Server::bind(config).await.expect("it listens") };
        let server = self.runtime.block_on(binding);
        let serving = server.run(self.shutdown.clone());
        self.server = Some(self.runtime.spawn(serving));
    }

    /// Ends the daemon at once, and returns when it has ended.
    pub(crate) fn stop_daemon(&mut self) {
        self.shutdown.now();
        if let Some(server) = self.server.take() {
            // A panic of the server's has been reported where it happened.
            let _ = self.runtime.block_on(server);
        }
    }

    /// Tells the daemon to end in good order.
    pub(crate) fn drain(&self) {
        self.shutdown.drain();
    }

    /// Where the daemon listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A directory for the test's own files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the test's own tasks run.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Runs a command that must go well without a word on stderr; its stdout, without the last line feed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{line}");
        text(&output.stdout).trim_end_matches('\n').to_owned()
    }

    /// Runs a command that must go well, and parses the JSON that it prints.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> serde_json::Value {
        let stdout = self.ok(&format!("-o json {line}"));
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}: {stdout}"))
    }

    /// Runs a command that must end with `code`, and nothing on stdout; its stderr.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let stderr = text(&output.stderr).trim_end().to_owned();
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{line}");
        stderr
    }

    /// A port of 127.0.0.1 that refuses connections: it is bound, so that nobody else gets it, but nobody listens there. Takes a handle.
    pub(crate) fn closed_port(&self) -> u16 {
        let handle = self.ok("socket tcp");
        let address = self.ok(&format!("bind {handle} 127.0.0.1:0"));
        let (_, port) = address.split_once(':').expect("it is IPv4's");
        port.parse().expect("a port")
    }

    /// Runs a command line; single quotes hold words together.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(&words(line)).output().expect("it runs")
    }

    /// Runs a command line with `stdin`.
    pub(crate) fn run_with_stdin(&self, line: &str, stdin: &[u8]) -> Output {
        let mut child = self
            .command(&words(line))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        pipe.write_all(stdin).expect("it reads its stdin");
        drop(pipe);
        child.wait_with_output().expect("it ends")
    }

    /// Starts a command that is going to wait.
    pub(crate) fn start_command(&self, line: &str) -> Waiting {
        self.start_with(line, Stdio::null())
    }

    /// Starts a command that is given its stdin bit by bit.
    pub(crate) fn start_piped(&self, line: &str) -> Waiting {
        self.start_with(line, Stdio::piped())
    }

    fn start_with(&self, line: &str, stdin: Stdio) -> Waiting {
        let mut command = self.command(&words(line));
        command.stdin(stdin);
        start(command, line)
    }

    /// Starts a command that was made elsewhere, such as by a shell's script.
    pub(crate) fn start_other(&self, command: Command) -> Waiting {
        let line = format!("{command:?}");
        start(command, &line)
    }

    /// Returns when `count` calls wait on a handle.
    #[track_caller]
    pub(crate) fn until_waiting(&self, handle: u64, count: u64) {
        for _ in 0..500 {
            let info = self.json(&format!("info {handle}"));
            if info["waiting_operations"] == count {
                return;
            }
        }
        panic!("nothing waits on handle {handle}");
    }

    /// A command, to be started.
    pub(crate) fn command_of(&self, line: &str) -> Command {
        self.command(&words(line))
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = farsock();
        command.args(words).env("FARSOCK_ADDR", &self.address);
        command
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.stop_daemon();
    }
}

/// A command that waits; killed if the test ends before it.
pub(crate) struct Waiting {
    child: Option<Child>,
    line: String,
}

impl Waiting {
    /// Waits for its end, which must be in good order; its stdout.
    #[track_caller]
    pub(crate) fn ok(mut self) -> String {
        let output = self.end();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {stderr}", self.line);
        text(&output.stdout).trim_end().to_owned()
    }

    /// Waits for its end, which must be with `code`; its stderr.
    #[track_caller]
    pub(crate) fn fails(mut self, code: i32) -> String {
        let output = self.end();
        let stderr = text(&output.stderr).trim_end().to_owned();
        assert_eq!(output.status.code(), Some(code), "{}: {stderr}", self.line);
        stderr
    }

    /// Returns when it has said `note` on stderr, as its first line.
    #[track_caller]
    pub(crate) fn until_note(&mut self, note: &str) {
        assert_eq!(self.note(), note, "{}", self.line);
    }

    /// The next line that it says on stderr.
    #[track_caller]
    pub(crate) fn note(&mut self) -> String {
        let line = self.said();
        let note = line.strip_prefix("farsock: ");
        note.unwrap_or_else(|| panic!("{}: {line:?}", self.line))
            .to_owned()
    }

    /// The next line on its stderr, as it is.
    pub(crate) fn said(&mut self) -> String {
        let child = self.child.as_mut().expect("it has not ended yet");
        line_of(child.stderr.as_mut().expect("stderr is piped"))
    }

    /// Returns when it has said something on stderr that has these words in it; the line.
    #[track_caller]
    pub(crate) fn until_said(&mut self, words: &str) -> String {
        let mut said = Vec::new();
        // More than any test makes it say.
        for _ in 0..50 {
            let line = self.note();
            if line.contains(words) {
                return line;
            }
            said.push(line);
        }
        panic!("{}: nothing of {words:?} in {said:#?}", self.line);
    }

    /// The next line that it prints on stdout.
    pub(crate) fn answer(&mut self) -> String {
        line_of(self.stdout())
    }

    /// Its stdout.
    pub(crate) fn stdout(&mut self) -> &mut ChildStdout {
        let child = self.child.as_mut().expect("it has not ended yet");
        child.stdout.as_mut().expect("stdout is piped")
    }

    /// Its stdout, to be read elsewhere or closed.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        let child = self.child.as_mut().expect("it has not ended yet");
        child.stdout.take().expect("stdout is piped, and not taken")
    }

    /// Its stdin; ends when it is dropped.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        let child = self.child.as_mut().expect("it has not ended yet");
        child.stdin.take().expect("stdin is piped, and not taken")
    }

    /// Writes to its stdin.
    pub(crate) fn give(&mut self, data: &str) {
        let child = self.child.as_mut().expect("it has not ended yet");
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        stdin
            .write_all(data.as_bytes())
            .expect("it reads its stdin");
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// SIGINT, SIGTERM ..., by what follows "SIG".
    pub(crate) fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it has not ended yet");
        let sent = Command::new("/bin/sh")
            .args(["-c", &format!("kill -{name} {}", child.id())])
            .status();
        assert!(sent.expect("sh runs").success());
    }

    /// Waits for its end, in whatever order.
    pub(crate) fn end(&mut self) -> Output {
        let child = self.child.take().expect("it has not ended yet");
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(mut command: Command, line: &str) -> Waiting {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    Waiting {
        child: Some(child),
        line: line.to_owned(),
    }
}

/// The program, without a daemon to talk to.
pub(crate) fn farsock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farsock"));
    command
        .env_remove("FARSOCK_ADDR")
        .env_remove("FARSOCK_SESSION")
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null());
    command
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

/// The next line, without its end. A byte at a time: what follows is for others to read.
fn line_of(source: impl Read) -> String {
    let mut line = Vec::new();
    BufReader::with_capacity(1, source)
        .read_until(b'\n', &mut line)
        .expect("it is readable");
    text(&line).trim_end_matches('\n').to_owned()
}

/// Words between spaces; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
