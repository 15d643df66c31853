//! Errors of system calls: from a call's result, and from numbers to names and descriptions.

use std::{
    ffi::{CStr, c_char, c_int},
    io,
};

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

/// What an errno means, such as "Connection refused", in the C locale's words. Corresponds to strerror_r(3).
pub(crate) fn strerror(errno: i32) -> String {
    let mut text: [c_char; 128] = [0; 128];
    // SAFETY: `text` is writable for the length given, and strerror_r always ends what it writes with NUL. A number that it does
    // not know gives "Unknown error N" besides an error, which is why the result does not matter.
    unsafe { libc::strerror_r(errno, text.as_mut_ptr(), text.len() - 1) };
    // SAFETY: the last byte was out of strerror_r's reach, so there is a NUL within `text`.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    text.to_string_lossy().into_owned()
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
    fn an_errno_is_described_as_strerror_does() {
        assert_eq!(strerror(libc::ECONNREFUSED), "Connection refused");
        assert!(strerror(9999).contains("9999"));
    }
}
