//! The log: on standard error, for people or for machines.
//!
//! Whatever becomes of standard error, no call that logs panics or waits: see `writer.rs`.

mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env,
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd as _,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, prelude::*, reload};

use self::writer::Writer;
use crate::config::{Config, LogFilter, LogFormat};

/// How long the end of the process waits for the log's last lines.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// This process's log; clones are the same one.
#[derive(Clone, Debug)]
pub struct Log {
    writer: Writer,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Sends what `tracing` reports to standard error from now on; in colour only if that is a terminal and NO_COLOR is not set. A
    /// process has one log: if it has one already, that one stays.
    ///
    /// # Errors
    /// The kernel gives no thread to write with, or no descriptor.
    pub fn start(config: &Config) -> io::Result<Self> {
        // Not `io::stderr()`: its lock would be held for as long as a write takes.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let writer = Writer::start(stderr, |lines| {
            tracing::warn!(lines, "lines of the log were lost");
        })?;
        let (filter, handle) = reload::Layer::new(config.log_level.filter());
        let lines = fmt::layer()
            .with_writer(writer.clone())
            // They would go to standard error past the writer.
            .log_internal_errors(false)
            .with_ansi(
                io::stderr().is_terminal()
                    && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            );
        let lines = match config.log {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        // An embedding program's own log is not ours to replace.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init();
        Ok(Self {
            writer,
            filter: handle,
        })
    }

    /// Logs panics as errors instead of printing them: printing waits for whoever reads standard error.
    pub fn panics(&self) {
        panic::set_hook(Box::new(report_panic));
    }

    /// Logs what `filter` lets through from now on.
    ///
    /// # Errors
    /// The process has another log.
    pub fn set_filter(&self, filter: &LogFilter) -> Result<(), reload::Error> {
        self.filter.reload(filter.filter())
    }

    /// Writes a line that is no event, such as why the process ends.
    pub fn say(&self, line: &str) {
        self.writer.write_line(format!("{line}\n").as_bytes());
    }

    /// Waits until all is written, but not for long.
    pub fn finish(self) {
        self.writer.finish(LAST_MOMENT);
    }
}

/// Writes a line to standard error before there is a log. A failure has nobody to be reported to.
pub fn say_early(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("its value is no text");
    let location = info.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        thread = thread::current().name().unwrap_or("unnamed"),
        location,
        backtrace = backtrace.map(tracing::field::display),
        "panic: {message}"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_is_an_event_of_the_log() {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl Write for Lines {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(line)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = fmt().with_writer(move || to.clone()).with_ansi(false);
        let before = panic::take_hook();
        panic::set_hook(Box::new(report_panic));
        let panicked = tracing::subscriber::with_default(subscriber.finish(), || {
            panic::catch_unwind(|| panic!("on {}", "purpose"))
        });
        panic::set_hook(before);
        assert!(panicked.is_err());
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("ERROR") && text.contains("panic: on purpose"),
            "{text}"
        );
        assert!(text.contains("daemon/src/log/mod.rs:"), "{text}");
    }
}
