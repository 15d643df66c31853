//! What can go wrong with a call, told apart by who said no: the kernel, the daemon, or the way to
//! it.

use std::{error::Error as StdError, fmt, io};

use tonic::{Code, Status};

use farsock_proto::{Violation, reason::Reason};

use crate::{
    call::Tried,
    errno,
    status::{Cause, kind_of},
};

/// What calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that failed: what was tried, and who said no.
///
/// Reads as one line, such as `connect 127.0.0.1:4000 on handle 3: Connection refused
/// (ECONNREFUSED)`.
#[derive(Clone)]
pub struct Error {
    // Boxed, since results carry it through every call.
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    tried: Option<Tried>,
    code: Code,
    message: String,
    kind: ErrorKind,
    /// The io error below an unreachable daemon.
    io_kind: Option<io::ErrorKind>,
}

/// Who said no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel of the daemon's host did: the system call returned this error.
    Kernel {
        /// The errno's number on the daemon's host.
        errno: i32,
        /// The errno's name, such as "ECONNREFUSED".
        name: String,
        /// The system call, such as "connect".
        syscall: String,
        /// The handle that it was made on.
        handle: Option<u64>,
    },
    /// The resolver of the daemon's host did.
    GetAddrInfo {
        /// The error's name, such as "EAI_NONAME".
        name: String,
    },
    /// The daemon refused the call or ended its wait.
    Daemon {
        /// Why.
        reason: Reason,
    },
    /// The daemon, or this client, found the request malformed.
    InvalidRequest {
        /// The fields, and what is wrong with them.
        violations: Vec<Violation>,
    },
    /// The daemon cannot be reached, or the connection broke. Whether the daemon carried out a call
    /// that was under way is not known.
    Unreachable,
    /// The client's [`timeout`](crate::Builder::timeout) was over.
    DeadlineExceeded,
    /// The daemon's answer is not one of the API.
    InvalidResponse {
        /// The field, and what is wrong with it.
        violation: Violation,
    },
    /// Anything else; [`Error::code`] and the text are all there is.
    Other,
}

impl Error {
    /// Who said no, and why.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// The call's gRPC status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The call's name, such as "bind"; none if there was no call yet.
    #[must_use]
    pub fn verb(&self) -> Option<&'static str> {
        self.inner.tried.map(|tried| tried.verb)
    }

    /// The handle that the call was made on.
    #[must_use]
    pub fn handle(&self) -> Option<u64> {
        self.inner.tried.and_then(|tried| tried.handle)
    }

    /// The kernel's errno, as a number of the daemon's host.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self.kind() {
            ErrorKind::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The name of the kernel's errno, such as "ECONNREFUSED": the same on every system.
    #[must_use]
    pub fn errno_name(&self) -> Option<&str> {
        match self.kind() {
            ErrorKind::Kernel { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Why the daemon itself refused or ended the call.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.kind() {
            ErrorKind::Daemon { reason } => Some(*reason),
            ErrorKind::InvalidRequest { .. } => Some(Reason::InvalidRequest),
            _ => None,
        }
    }

    /// What is wrong with the request; empty if it is well formed.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self.kind() {
            ErrorKind::InvalidRequest { violations } => violations,
            _ => &[],
        }
    }

    /// The kind of [`std::io::Error`] that the same failure of a local socket would be.
    #[must_use]
    pub fn io_kind(&self) -> io::ErrorKind {
        match self.kind() {
            ErrorKind::Kernel { name, .. } => errno::io_kind(name),
            ErrorKind::InvalidRequest { .. } => io::ErrorKind::InvalidInput,
            ErrorKind::InvalidResponse { .. } => io::ErrorKind::InvalidData,
            ErrorKind::DeadlineExceeded => io::ErrorKind::TimedOut,
            ErrorKind::Unreachable => self.inner.io_kind.unwrap_or(io::ErrorKind::NotConnected),
            ErrorKind::Daemon { reason } => match reason {
                Reason::TimedOut => io::ErrorKind::TimedOut,
                Reason::HandleNotFound => io::ErrorKind::NotFound,
                Reason::HandleClosed => io::ErrorKind::NotConnected,
                Reason::QuotaExceeded => io::ErrorKind::QuotaExceeded,
                _ => io::ErrorKind::Other,
            },
            ErrorKind::GetAddrInfo { .. } | ErrorKind::Other => io::ErrorKind::Other,
        }
    }

    /// Whether it is the connection's, or the shutdown's: worth another attempt.
    pub(crate) fn is_broken(&self) -> bool {
        match self.kind() {
            ErrorKind::Daemon {
                reason: Reason::Draining,
            }
            | ErrorKind::Unreachable
            | ErrorKind::DeadlineExceeded => true,
            // Without details they are not the daemon's own words, but those of what is in between.
            ErrorKind::Other => matches!(
                self.code(),
                Code::Unknown | Code::Internal | Code::Cancelled | Code::DataLoss
            ),
            _ => false,
        }
    }

    pub(crate) fn from_status(tried: Tried, status: &Status) -> Self {
        let kind = kind_of(status);
        let cause = Cause::of(status);
        let code = match kind {
            ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
            ErrorKind::Unreachable => Code::Unavailable,
            _ => status.code(),
        };
        let message = match kind {
            ErrorKind::DeadlineExceeded => "the client's timeout is over".to_owned(),
            ErrorKind::Unreachable => format!("the connection to the daemon broke: {}", cause.text),
            _ if status.message().is_empty() => status.code().description().to_owned(),
            _ => status.message().to_owned(),
        };
        Self::new(Some(tried), code, message, kind, cause.io_kind)
    }

    /// The connection failed before the call was sent.
    pub(crate) fn unreachable(tried: Tried, error: &(dyn StdError + 'static)) -> Self {
        let cause = Cause::of(error);
        let message = format!("the daemon cannot be reached: {}", cause.text);
        Self::new(
            Some(tried),
            Code::Unavailable,
            message,
            ErrorKind::Unreachable,
            cause.io_kind,
        )
    }

    /// There is no connection to the daemon called `name`.
    pub(crate) fn unreachable_at(name: &str, error: &(dyn StdError + 'static)) -> Self {
        let cause = Cause::of(error);
        let message = format!("the daemon at {name} cannot be reached: {}", cause.text);
        Self::new(
            None,
            Code::Unavailable,
            message,
            ErrorKind::Unreachable,
            cause.io_kind,
        )
    }

    /// What the client was given makes no request.
    pub(crate) fn invalid_request(violation: Violation) -> Self {
        let message = violation.to_string();
        let violations = vec![violation];
        Self::new(
            None,
            Code::InvalidArgument,
            message,
            ErrorKind::InvalidRequest { violations },
            None,
        )
    }

    /// The answer breaks a rule of the API.
    pub(crate) fn invalid_response(tried: Tried, violation: Violation) -> Self {
        let message = format!("the daemon's answer makes no sense: {violation}");
        Self::new(
            Some(tried),
            Code::Internal,
            message,
            ErrorKind::InvalidResponse { violation },
            None,
        )
    }

    fn new(
        tried: Option<Tried>,
        code: Code,
        message: String,
        kind: ErrorKind,
        io_kind: Option<io::ErrorKind>,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                tried,
                code,
                message,
                kind,
                io_kind,
            }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { tried, message, .. } = &*self.inner;
        match (tried, &self.inner.kind) {
            // The daemon's text says what was tried on what.
            (_, ErrorKind::Kernel { .. } | ErrorKind::GetAddrInfo { .. }) | (None, _) => {
                f.write_str(message)
            }
            (Some(tried), ErrorKind::Daemon { .. }) if tried.is_subject_of(message) => {
                f.write_str(message)
            }
            (
                Some(Tried {
                    verb,
                    handle: Some(handle),
                }),
                _,
            ) => {
                write!(f, "{verb} on handle {handle}: {message}")
            }
            (Some(Tried { verb, handle: None }), _) => write!(f, "{verb}: {message}"),
        }
    }
}

/// What `main` prints of an error that it returns, so the text comes first.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?}, {:?})", self.inner.code, self.inner.kind)
    }
}

impl StdError for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}
