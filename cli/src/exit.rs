//! How a command fails: who said no decides the exit code, and one line on stderr says what was tried and why not.

use std::{fmt, io, process::ExitCode};

use farsock_client::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::output;

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The kernel of the daemon's host said no, or its resolver did. Exit code 1.
    #[error("{tried}: {name}: {text}")]
    Kernel {
        tried: String,
        name: String,
        text: String,
        /// The system call that failed; none if it was the resolver.
        call: Option<Call>,
    },
    /// The demo received something else than was sent. Exit code 1.
    #[error("{0}")]
    Mismatch(String),
    /// Something on this side of the daemon went wrong. Exit code 1.
    #[error("{0}")]
    Local(String),
    /// Stdout did not take the answer. Exit code 1, but 0 if its reader has gone: who pipes into `head` has seen enough.
    #[error("stdout: {0}")]
    Stdout(#[from] io::Error),
    /// The command line, or a file that it names, makes no sense. Exit code 2, as clap's own.
    #[error("{0}")]
    Usage(String),
    /// A signal ended what was not done yet. The exit code is 130 of SIGINT and SIGTERM, 129 of SIGHUP and 131 of SIGQUIT: what a shell has of a
    /// program that SIGINT, SIGHUP or SIGQUIT killed. Nothing is printed: whoever sent it knows.
    #[error("interrupted")]
    Interrupted(u8),
    /// The daemon could not be reached. Exit code 3.
    #[error("{0}")]
    Unreachable(String),
    /// The daemon refused the call, or ended its wait. Exit code 4.
    #[error("{tried}: {name}: {text}")]
    Refused {
        tried: String,
        name: String,
        text: String,
    },
}

/// A system call that failed.
#[derive(Debug)]
pub(crate) struct Call {
    /// Such as "connect".
    name: String,
    /// On the daemon's host.
    errno: i32,
}

impl Failure {
    /// Prints the failure on stderr, and tells the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Interrupted(_) => {}
            _ => self.tell(),
        }
        ExitCode::from(self.code())
    }

    /// Prints the failure on stderr: one that ends the command, or one after which it goes on.
    pub(crate) fn tell(&self) {
        self.tell_as(self);
    }

    /// Prints the failure on stderr in these words, which say more than its own.
    pub(crate) fn tell_as(&self, words: impl fmt::Display) {
        output::error(&words, || self.json(&words));
    }

    /// The failure for programs: `call`, `errno` and `errno_name` if the kernel said no, `reason` if the resolver or the daemon did, else none
    /// of them.
    fn json(&self, words: impl fmt::Display) -> Value {
        let (tried, name, call) = match self {
            Self::Kernel {
                tried, name, call, ..
            } => (Some(tried), Some(name), call.as_ref()),
            Self::Refused { tried, name, .. } => (Some(tried), Some(name), None),
            _ => (None, None, None),
        };
        let (errno_name, reason) = match call {
            Some(_) => (name, None),
            None => (None, name),
        };
        json!({"error": {
            "message": words.to_string(),
            "tried": tried,
            "call": call.map(|call| &call.name),
            "errno": call.map(|call| call.errno),
            "errno_name": errno_name,
            "reason": reason,
        }})
    }

    fn code(&self) -> u8 {
        match self {
            Self::Kernel { .. } | Self::Mismatch(_) | Self::Local(_) | Self::Stdout(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Refused { .. } => 4,
            Self::Interrupted(code) => *code,
        }
    }

    /// What is wrong with a command line, as clap found it.
    pub(crate) fn of_usage(error: &clap::Error) -> Self {
        // Its text is all of the help.
        if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::Usage("a command is missing; see --help".to_owned());
        }
        let text = error.to_string();
        // What follows is the same for many errors.
        let text = ["\n\nUsage:", "\n\nFor more information"]
            .iter()
            .fold(text.as_str(), |text, end| {
                text.split_once(end).map_or(text, |(text, _)| text)
            });
        let words: Vec<&str> = text
            .trim_start_matches("error: ")
            .split_whitespace()
            .collect();
        Self::Usage(words.join(" "))
    }

    /// What `error` means for the command that tried `tried`.
    pub(crate) fn of(tried: String, error: &Error) -> Self {
        let text = bare_text(error);
        let kernel = |name: &str, call| Self::Kernel {
            tried: tried.clone(),
            name: name.to_owned(),
            text: text.clone(),
            call,
        };
        let name = match error.kind() {
            ErrorKind::Kernel {
                name,
                errno,
                syscall,
                ..
            } => {
                let call = Call {
                    name: syscall.clone(),
                    errno: *errno,
                };
                return kernel(name, Some(call));
            }
            ErrorKind::GetAddrInfo { name } => return kernel(name, None),
            ErrorKind::Unreachable => return Self::Unreachable(text),
            ErrorKind::Daemon { reason } => reason.as_str().to_owned(),
            ErrorKind::InvalidRequest { .. } => "INVALID_REQUEST".to_owned(),
            ErrorKind::DeadlineExceeded => "TIMED_OUT".to_owned(),
            _ => format!("{:?}", error.code()),
        };
        Self::Refused { tried, name, text }
    }

    /// Adds the next step if the session that the command was to be in was not found.
    pub(crate) fn in_session(mut self) -> Self {
        if let Self::Refused { tried, name, text } = &mut self
            && name == "SESSION_NOT_FOUND"
            // The one that was to be closed is another matter.
            && !tried.starts_with("session close")
        {
            text.push_str("; unset FARSOCK_SESSION or open another");
        }
        self
    }

    /// What `error`, of a stream of bytes that is a socket's, means for the command that tried `tried`.
    pub(crate) fn of_io(tried: String, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(error) => Self::of(tried, error),
            None => Self::Local(format!("{tried}: {error}")),
        }
    }
}

/// Says what was tried when a call fails.
pub(crate) trait Tried<T> {
    /// `what` is the command as it could be typed: "connect 3 127.0.0.1:4000".
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Tried<T> for Result<T, Error> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(what(), &error))
    }
}

/// The error's text without what was tried, which the command line says in its own words.
pub(crate) fn bare_text(error: &Error) -> String {
    let text = error.to_string();
    if let ErrorKind::Kernel { name, .. } | ErrorKind::GetAddrInfo { name } = error.kind() {
        // "connect 127.0.0.1:4000 on handle 3: Connection refused (ECONNREFUSED)"; the kernel's own texts have no colon.
        let text = text.strip_suffix(&format!(" ({name})")).unwrap_or(&text);
        return text.rsplit(": ").next().unwrap_or(text).to_owned();
    }
    let prefix = match (error.verb(), error.handle()) {
        (Some(verb), Some(handle)) => format!("{verb} on handle {handle}: "),
        (Some(verb), None) => format!("{verb}: "),
        (None, _) => String::new(),
    };
    let text = text.strip_prefix(&prefix).unwrap_or(&text);
    // "connect 127.0.0.1:4000 on handle 3: the request's timeout was over": so the daemon says which wait it ended.
    if let (Some((subject, rest)), Some(verb)) = (text.split_once(": "), error.verb()) {
        let is_subject = match error.handle() {
            Some(handle) => subject.ends_with(&format!(" on handle {handle}")),
            None => subject.starts_with(&format!("{verb} ")),
        };
        if is_subject {
            return rest.to_owned();
        }
    }
    text.to_owned()
}
