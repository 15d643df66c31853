//! The names by which errors are known on the wire: `google.rpc.ErrorInfo`'s domains and reasons.

/// ErrorInfo domain of the kernel's errors; the reason is the errno's name.
pub const ERRNO_DOMAIN: &str = "errno.farsock";
/// ErrorInfo domain of getaddrinfo's errors; the reason is the error's name, such as "EAI_NONAME".
pub const GETADDRINFO_DOMAIN: &str = "getaddrinfo.farsock";
/// ErrorInfo domain of the daemon's own errors; the reason is a [`Reason`].
pub const DAEMON_DOMAIN: &str = "farsock";

/// Metadata key of a request: the instance id that the caller's handles belong to.
pub const INSTANCE_METADATA: &str = "farsock-instance";

/// Metadata key of a unary request: the id of the session that it belongs to.
pub const SESSION_METADATA: &str = "farsock-session";

/// Metadata key of a unary request within a session: its request id, for the same promise that the stream of operations gives.
pub const REQUEST_ID_METADATA: &str = "farsock-request-id";

/// Metadata key of a unary request within a session: request ids, with commas, whose results are acknowledged.
pub const ACKNOWLEDGE_METADATA: &str = "farsock-acknowledge";

/// ErrorInfo metadata keys of the kernel's errors.
pub mod metadata {
    /// The errno's number.
    pub const ERRNO: &str = "errno";
    /// The system call that failed.
    pub const SYSCALL: &str = "syscall";
    /// The handle it was called on.
    pub const HANDLE: &str = "handle";
}

/// Why the daemon itself, not the kernel, refused or ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is malformed.
    InvalidRequest,
    /// The caller has no such handle.
    HandleNotFound,
    /// The handle was closed while the call waited.
    HandleClosed,
    /// The request's `timeout` was over.
    TimedOut,
    /// The daemon's limit of handles or waiting operations is reached.
    QuotaExceeded,
    /// The daemon is not the one that the caller's handles belong to.
    InstanceChanged,
    /// The daemon is shutting down.
    Draining,
    /// The caller has no such session.
    SessionNotFound,
    /// The session's lease was over, or the session was closed.
    SessionExpired,
    /// A newer stream has attached to the session.
    SessionTaken,
    /// The operation that this one was to follow failed.
    DependencyFailed,
    /// The client cancelled the operation, and it had done nothing; of a direction of Splice, what it says it had done.
    Cancelled,
    /// The request id belongs to another operation.
    RequestMismatch,
    /// The request id's result was acknowledged before.
    RequestForgotten,
    /// There is no operation of that request id.
    RequestUnknown,
    /// Too many results wait for acknowledgement.
    ResultsFull,
    /// The handle number is not one of the session's own.
    HandleOutOfBlock,
    /// The handle number was used before.
    HandleInUse,
    /// The socket has a stream already, or one that holds what was read from it; or a call waits where a stream is to begin, or has left
    /// there what it took.
    StreamInUse,
    /// The stream was opened again elsewhere.
    StreamTaken,
    /// More was sent on a stream than was granted.
    CreditExceeded,
    /// An offset of a stream that was never reached, or is acknowledged already.
    OffsetUnknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::InvalidRequest,
        Self::HandleNotFound,
        Self::HandleClosed,
        Self::TimedOut,
        Self::QuotaExceeded,
        Self::InstanceChanged,
        Self::Draining,
        Self::SessionNotFound,
        Self::SessionExpired,
        Self::SessionTaken,
        Self::DependencyFailed,
        Self::Cancelled,
        Self::RequestMismatch,
        Self::RequestForgotten,
        Self::RequestUnknown,
        Self::ResultsFull,
        Self::HandleOutOfBlock,
        Self::HandleInUse,
        Self::StreamInUse,
        Self::StreamTaken,
        Self::CreditExceeded,
        Self::OffsetUnknown,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::HandleNotFound => "HANDLE_NOT_FOUND",
            Self::HandleClosed => "HANDLE_CLOSED",
            Self::TimedOut => "TIMED_OUT",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::InstanceChanged => "INSTANCE_CHANGED",
            Self::Draining => "DRAINING",
            Self::SessionNotFound => "SESSION_NOT_FOUND",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::SessionTaken => "SESSION_TAKEN",
            Self::DependencyFailed => "DEPENDENCY_FAILED",
            Self::Cancelled => "CANCELLED",
            Self::RequestMismatch => "REQUEST_MISMATCH",
            Self::RequestForgotten => "REQUEST_FORGOTTEN",
            Self::RequestUnknown => "REQUEST_UNKNOWN",
            Self::ResultsFull => "RESULTS_FULL",
            Self::HandleOutOfBlock => "HANDLE_OUT_OF_BLOCK",
            Self::HandleInUse => "HANDLE_IN_USE",
            Self::StreamInUse => "STREAM_IN_USE",
            Self::StreamTaken => "STREAM_TAKEN",
            Self::CreditExceeded => "CREDIT_EXCEEDED",
            Self::OffsetUnknown => "OFFSET_UNKNOWN",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}
