//! A time limit for each test: a test that hangs ends its binary with its name, and not the whole run without one.
//!
//! `use farsock_testing as _;` at the top of a test binary is all there is to it. The limit is [`LIMIT`], or the number of seconds in
//! `FARSOCK_TEST_LIMIT`; 0 is none, for a debugger.
//!
//! libtest runs each test on a thread that has the test's name, of which the kernel keeps the first 15 bytes. One thread for the life of
//! the process looks at the names of the others. With `--test-threads=1` libtest uses the main thread, and there is no limit. What a test
//! has left behind (a thread of no name has its parent's) counts as the test.

use std::{
    fs,
    process::{self, Command},
    thread,
    time::Duration,
};

/// What a test may take before it counts as hung. The longest takes a tenth of it while both cores are busy.
pub const LIMIT: Duration = Duration::from_secs(600);

/// How many bytes of a thread's name the kernel keeps.
const NAME: usize = 15;

/// Runs before `main`: nothing else of a test binary runs whatever its tests are.
#[ctor::ctor(unsafe)]
fn watch() {
    let limit = match std::env::var("FARSOCK_TEST_LIMIT").map(|text| text.parse()) {
        Ok(Ok(seconds)) => Duration::from_secs(seconds),
        Ok(Err(_)) | Err(_) => LIMIT,
    };
    // What lists its tests has none that run: and this is how the names are found out.
    let lists = std::env::args().any(|argument| argument == "--list");
    if !limit.is_zero() && !lists {
        // Without the thread there is no limit, as without this crate.
        let _ = thread::Builder::new()
            .name("test limit".to_owned())
            .spawn(move || look(limit));
    }
}

/// Looks at the process's threads until a test has taken too long.
fn look(limit: Duration) {
    // No look before it can find anything: it opens files, and tests count descriptors.
    thread::sleep(limit);
    loop {
        let late = threads_older_than(limit);
        let hung: Vec<String> = if late.is_empty() {
            Vec::new()
        } else {
            tests()
                .into_iter()
                .filter(|test| is_of(test, &late))
                .collect()
        };
        if !hung.is_empty() {
            // libtest captures what tests print, and not what this thread prints.
            eprintln!(
                "\nno end after {limit:?}, of this test or one whose name begins like it: {}",
                hung.join(", ")
            );
            process::abort();
        }
        thread::sleep(limit / 20);
    }
}

/// Whether one of these is the name of the test's thread.
fn is_of(test: &str, threads: &[Vec<u8>]) -> bool {
    let name = test.as_bytes();
    let cut = name.get(..NAME).unwrap_or(name);
    threads.iter().any(|thread| thread == cut)
}

/// The names of this process's threads that exist for so long, but the main one's.
fn threads_older_than(limit: Duration) -> Vec<Vec<u8>> {
    let main = process::id().to_string();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let is_main = task.file_name() == main.as_str();
            let name = fs::read(task.path().join("comm")).ok()?;
            let name = name.strip_suffix(b"\n").unwrap_or(&name).to_vec();
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            (!is_main && age(&stat)? >= limit).then_some(name)
        })
        .collect()
}

/// How long the thread of that line of proc_pid_stat(5) exists.
fn age(stat: &str) -> Option<Duration> {
    /// The same on all architectures that Rust's std supports.
    const TICKS_PER_SECOND: f64 = 100.0;
    // "PID (NAME) STATE ...", and the name may hold anything. The start is the 22nd field, and the state the third.
    let (_, rest) = stat.rsplit_once(") ")?;
    let start: f64 = rest.split(' ').nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(uptime - start / TICKS_PER_SECOND).ok()
}

/// The names of this binary's tests.
fn tests() -> Vec<String> {
    let listed = std::env::current_exe().and_then(|own| {
        let arguments = ["--list", "--format", "terse"];
        Command::new(own).args(arguments).output()
    });
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&listed)
        .lines()
        .filter_map(|line| Some(line.strip_suffix(": test")?.to_owned()))
        .collect()
}
