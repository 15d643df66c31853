//! Errors of system calls: from a call's result, and from numbers to names and descriptions.

use std::{ffi::c_int, io};

/// Defines the table of names from the names alone, so that a number cannot stand beside the wrong one.
macro_rules! names {
    ($($name:ident)*) => {
        /// The name of an errno, such as "ECONNREFUSED"; `None` for a number without one. Where Linux has two names for a number,
        /// it is the one that errno(3) explains: EAGAIN, EDEADLK, EOPNOTSUPP.
        pub(crate) fn errno_name(errno: i32) -> Option<&'static str> {
            match errno {
                $(libc::$name => Some(stringify!($name)),)*
                // The kernel's own, meant to stay inside; some protocols let it out nevertheless.
                524 => Some("ENOTSUPP"),
                _ => None,
            }
        }

        /// Every errno with a name in libc.
        #[cfg(test)]
        const NAMED: &[(i32, &str)] = &[$((libc::$name, stringify!($name)),)*];
    };
}

names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV
    ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG
    ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL
    ENOANO EBADRQC EBADSLT EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP
    EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS
    ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
    ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM
    EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE
    ERFKILL EHWPOISON
}

/// The result of a system call that tells its failure by -1 and errno.
pub(super) fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// [`check`] for a call that returns a length.
pub(super) fn check_length(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The name of a system call's error; "EUNKNOWN" for a number without one.
pub(crate) fn name_of(error: &io::Error) -> &'static str {
    errno_name(error.raw_os_error().unwrap_or_default()).unwrap_or("EUNKNOWN")
}

/// Whether the error says what is short now, descriptors or memory, and nothing of what the call would answer at another time.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

/// EAGAIN: there is nothing yet.
pub(crate) fn again() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// EINVAL: the socket is not in a state for this.
pub(crate) fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// EPIPE: the connection that one waits on is over.
pub(crate) fn broken_pipe() -> io::Error {
    io::Error::from_raw_os_error(libc::EPIPE)
}

/// ECONNABORTED: the connect has ended, and another call was told why.
pub(crate) fn connection_aborted() -> io::Error {
    io::Error::from_raw_os_error(libc::ECONNABORTED)
}

/// EINPROGRESS: a connection is on its way.
pub(crate) fn in_progress() -> io::Error {
    io::Error::from_raw_os_error(libc::EINPROGRESS)
}

/// EALREADY: a connection is on its way already.
pub(crate) fn already() -> io::Error {
    io::Error::from_raw_os_error(libc::EALREADY)
}

/// EMSGSIZE: the message is longer than what can be taken.
pub(crate) fn message_too_long() -> io::Error {
    io::Error::from_raw_os_error(libc::EMSGSIZE)
}

/// Whether it is EINVAL.
pub(crate) fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether a connection is on its way: EINPROGRESS, or EALREADY when asked again.
pub(crate) fn is_connecting(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINPROGRESS | libc::EALREADY)
    )
}

/// Whether it is EISCONN.
pub(crate) fn is_connected(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EISCONN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_of_linux_has_its_name() {
        assert_eq!(errno_name(libc::ECONNREFUSED), Some("ECONNREFUSED"));
        assert_eq!(errno_name(libc::EWOULDBLOCK), Some("EAGAIN"));
        assert_eq!(errno_name(0), None);
        assert_eq!(errno_name(-1), None);
        assert_eq!(errno_name(134), None);
        assert_eq!(
            NAMED.len(),
            131,
            "1 to 133 without 41 and 58, which are only aliases"
        );
        for &(number, name) in NAMED {
            assert_eq!(errno_name(number), Some(name));
        }
    }

    #[test]
    fn of_results_only_minus_one_is_an_error() {
        assert!(check(-1).is_err() && check_length(-1).is_err());
        for result in [0, 1, 7] {
            assert_eq!(check(result).ok(), Some(result));
        }
        for result in [0, 1, 7] {
            assert_eq!(check_length(result).ok(), usize::try_from(result).ok());
        }
    }

    #[test]
    fn each_error_is_of_its_errno_and_is_known_by_it() {
        for (error, name) in [
            (again(), "EAGAIN"),
            (invalid(), "EINVAL"),
            (broken_pipe(), "EPIPE"),
            (connection_aborted(), "ECONNABORTED"),
            (in_progress(), "EINPROGRESS"),
            (already(), "EALREADY"),
            (message_too_long(), "EMSGSIZE"),
            (io::Error::from_raw_os_error(libc::EISCONN), "EISCONN"),
            (io::Error::from_raw_os_error(libc::EMFILE), "EMFILE"),
            (io::Error::from_raw_os_error(libc::ENFILE), "ENFILE"),
            (io::Error::from_raw_os_error(libc::ENOMEM), "ENOMEM"),
            (io::Error::from_raw_os_error(libc::ENOBUFS), "ENOBUFS"),
            (io::Error::from_raw_os_error(524), "ENOTSUPP"),
            (io::Error::other("no errno"), "EUNKNOWN"),
        ] {
            assert_eq!(name_of(&error), name);
            let short = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"].contains(&name);
            assert_eq!(is_shortage(&error), short, "{name}");
            assert_eq!(is_invalid(&error), name == "EINVAL", "{name}");
            assert_eq!(is_connected(&error), name == "EISCONN", "{name}");
            let connecting = ["EINPROGRESS", "EALREADY"].contains(&name);
            assert_eq!(is_connecting(&error), connecting, "{name}");
        }
    }
}
