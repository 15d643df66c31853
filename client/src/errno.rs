//! Errnos by their names, which are the same everywhere, while the numbers differ between systems.

use std::io::ErrorKind;

/// The kind that std on the daemon's system would give an error of this name.
pub(crate) fn io_kind(name: &str) -> ErrorKind {
    match name {
        "E2BIG" => ErrorKind::ArgumentListTooLong,
        "EACCES" | "EPERM" => ErrorKind::PermissionDenied,
        "EADDRINUSE" => ErrorKind::AddrInUse,
        "EADDRNOTAVAIL" => ErrorKind::AddrNotAvailable,
        "EAGAIN" | "EWOULDBLOCK" => ErrorKind::WouldBlock,
        "EBUSY" => ErrorKind::ResourceBusy,
        "ECONNABORTED" => ErrorKind::ConnectionAborted,
        "ECONNREFUSED" => ErrorKind::ConnectionRefused,
        "ECONNRESET" => ErrorKind::ConnectionReset,
        "EDEADLK" => ErrorKind::Deadlock,
        "EDQUOT" => ErrorKind::QuotaExceeded,
        "EEXIST" => ErrorKind::AlreadyExists,
        "EFBIG" => ErrorKind::FileTooLarge,
        "EHOSTUNREACH" => ErrorKind::HostUnreachable,
        "EINTR" => ErrorKind::Interrupted,
        "EINVAL" => ErrorKind::InvalidInput,
        "EISDIR" => ErrorKind::IsADirectory,
        "ENAMETOOLONG" => ErrorKind::InvalidFilename,
        "ENETDOWN" => ErrorKind::NetworkDown,
        "ENETUNREACH" => ErrorKind::NetworkUnreachable,
        "ENOENT" => ErrorKind::NotFound,
        "ENOMEM" => ErrorKind::OutOfMemory,
        "ENOSPC" => ErrorKind::StorageFull,
        "ENOSYS" | "EOPNOTSUPP" | "ENOTSUP" => ErrorKind::Unsupported,
        "ENOTCONN" => ErrorKind::NotConnected,
        "ENOTDIR" => ErrorKind::NotADirectory,
        "EPIPE" => ErrorKind::BrokenPipe,
        "EROFS" => ErrorKind::ReadOnlyFilesystem,
        "ESPIPE" => ErrorKind::NotSeekable,
        "ESTALE" => ErrorKind::StaleNetworkFileHandle,
        "ETIMEDOUT" => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    }
}

/// The same name as one that lives for ever, of the errnos that the kernel puts into a socket's
/// error queue.
pub(crate) fn interned(name: &str) -> Option<&'static str> {
    ERROR_QUEUE.into_iter().find(|known| *known == name)
}

/// What ICMP and ICMPv6 errors, local errors and time stamps become.
const ERROR_QUEUE: [&str; 31] = [
    "EACCES",
    "EADDRNOTAVAIL",
    "EAGAIN",
    "ECANCELED",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EFAULT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EINVAL",
    "EIO",
    "EMSGSIZE",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENOBUFS",
    "ENODATA",
    "ENODEV",
    "ENOMEM",
    "ENOMSG",
    "ENONET",
    "ENOPROTOOPT",
    "ENXIO",
    "EOPNOTSUPP",
    "EPERM",
    "EPIPE",
    "EPROTO",
    "ETIME",
    "ETIMEDOUT",
    "EXFULL",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux numbers, to compare with what std makes of them.
    const ERRNOS: [(&str, i32); 33] = [
        ("EPERM", 1),
        ("ENOENT", 2),
        ("EINTR", 4),
        ("E2BIG", 7),
        ("EAGAIN", 11),
        ("ENOMEM", 12),
        ("EACCES", 13),
        ("EBUSY", 16),
        ("EEXIST", 17),
        ("ENOTDIR", 20),
        ("EISDIR", 21),
        ("EINVAL", 22),
        ("EFBIG", 27),
        ("ENOSPC", 28),
        ("ESPIPE", 29),
        ("EROFS", 30),
        ("EPIPE", 32),
        ("EDEADLK", 35),
        ("ENAMETOOLONG", 36),
        ("ENOSYS", 38),
        ("EOPNOTSUPP", 95),
        ("EADDRINUSE", 98),
        ("EADDRNOTAVAIL", 99),
        ("ENETDOWN", 100),
        ("ENETUNREACH", 101),
        ("ECONNABORTED", 103),
        ("ECONNRESET", 104),
        ("ENOTCONN", 107),
        ("ETIMEDOUT", 110),
        ("ECONNREFUSED", 111),
        ("EHOSTUNREACH", 113),
        ("ESTALE", 116),
        ("EDQUOT", 122),
    ];

    #[test]
    #[cfg(target_os = "linux")]
    fn kinds_are_those_that_std_gives_the_same_errno() {
        for (name, number) in ERRNOS {
            let kind = std::io::Error::from_raw_os_error(number).kind();
            assert_eq!(io_kind(name), kind, "{name}");
        }
    }

    #[test]
    fn a_name_without_a_kind_of_its_own_is_other() {
        assert_eq!(io_kind("EPROTONOSUPPORT"), ErrorKind::Other);
        assert_eq!(io_kind(""), ErrorKind::Other);
    }

    #[test]
    fn the_names_of_the_error_queue_live_for_ever() {
        assert_eq!(interned("ECONNREFUSED"), Some("ECONNREFUSED"));
        assert_eq!(interned("EBADF"), None);
    }
}
