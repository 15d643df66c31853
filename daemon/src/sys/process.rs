//! This process: its user, its capabilities, and its limit of descriptors.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The effective user id. Corresponds to geteuid(2).
pub(crate) fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Raises the soft limit of open descriptors to the hard one. Corresponds to setrlimit(2) with RLIMIT_NOFILE.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// Lets the allocator keep freed memory, up to 8 MiB at its top, and take blocks of up to 4 MiB from what it keeps. HTTP/2's frames and a
/// stream's chunks are some hundred KiB: with its defaults glibc gives each back to the kernel and takes it anew, with a page fault per
/// 4 KiB, which costs a third of the CPU of bulk data. Corresponds to mallopt(3).
pub(crate) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers, and may be called at any time; a refusal leaves the defaults.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20);
    }
}

/// Gives freed memory back to the kernel, wherever in the heap it lies, a page at least. Takes as long as the heap has free blocks, and
/// holds the lock of one arena at a time meanwhile. Corresponds to malloc_trim(3); does nothing where that does not exist.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number, and may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What this process has in memory, in bytes. Corresponds to VmRSS of proc_pid_status(5).
pub(crate) fn resident_memory() -> io::Result<u64> {
    parse_resident(&fs::read_to_string("/proc/self/status")?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status has no VmRSS"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let rest = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// SIGXCPU: the process has used the CPU time of its soft limit.
pub(crate) const SIGXCPU: i32 = libc::SIGXCPU;

/// SIGPWR: the host's power fails.
pub(crate) const SIGPWR: i32 = libc::SIGPWR;

/// Ignores SIGHUP and every signal whose default would end this process and that tells a daemon nothing. Those that report a fault of the
/// program are left alone, and so are those that order its end. Corresponds to signal(2) with SIG_IGN.
pub(crate) fn ignore_signals() {
    // SIGXFSZ is for a log beyond the limit of a file's size, whose write fails with EFBIG instead.
    let named = [
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGPIPE,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGSTKFLT,
        libc::SIGXFSZ,
    ];
    for signal in named.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // SAFETY: no handler is installed that could run; a number that the kernel does not know is refused.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Waits until a descriptor takes bytes, or never will again. The one call here that waits: for the log's thread, which does nothing else.
/// Corresponds to poll(2).
pub(crate) fn wait_until_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd, which lives until the call returns.
    let ready = unsafe { libc::poll(&raw mut poll, 1, -1) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

/// The soft limit of open descriptors. Corresponds to getrlimit(2) with RLIMIT_NOFILE.
pub(crate) fn descriptor_limit() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// Whether the error says that this process or the host has no descriptor left (EMFILE, ENFILE).
pub(crate) fn is_descriptor_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether accept(2)'s error says that the descriptor is no listening socket, and so never will accept anything (EBADF, EINVAL, ENOTSOCK).
/// Others, EOPNOTSUPP included, may be of one connection.
pub(crate) fn is_no_listener(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK)
    )
}

/// The effective capabilities, one bit each. Corresponds to CapEff of proc_pid_status(5).
pub(crate) fn effective_capabilities() -> io::Result<Capabilities> {
    parse_capabilities(&fs::read_to_string("/proc/self/status")?).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "/proc/self/status has no CapEff",
        )
    })
}

/// A set of capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Capabilities(u64);

/// A capability that socket calls may need; its value is its number in linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// CAP_NET_BIND_SERVICE.
    NetBindService = 10,
    /// CAP_NET_ADMIN.
    NetAdmin = 12,
    /// CAP_NET_RAW.
    NetRaw = 13,
    /// CAP_SYS_ADMIN.
    SysAdmin = 21,
}

impl Capabilities {
    /// Whether the set has it.
    pub(crate) fn has(self, capability: Capability) -> bool {
        self.0 & (1 << (capability as u32)) != 0
    }
}

fn parse_capabilities(status: &str) -> Option<Capabilities> {
    let digits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16)
        .ok()
        .map(Capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        let set = parse_capabilities("Name:\tx\nCapEff:\t0000000000003400\nCapBnd:\t0\n").unwrap();
        assert!(set.has(Capability::NetBindService));
        assert!(set.has(Capability::NetAdmin));
        assert!(set.has(Capability::NetRaw));
        assert!(!set.has(Capability::SysAdmin));
    }

    #[test]
    fn a_status_file_without_capabilities_is_an_error_and_not_an_empty_set() {
        assert_eq!(parse_capabilities("Name:\tx\n"), None);
        assert_eq!(parse_capabilities("CapEff:\tnone\n"), None);
    }

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        assert_eq!(
            parse_resident("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(parse_resident("Name:\tx\n"), None);
        assert!(resident_memory().unwrap() > 0);
    }

    #[test]
    fn the_shortage_of_descriptors_is_told_from_other_errors() {
        for errno in [libc::EMFILE, libc::ENFILE] {
            assert!(is_descriptor_shortage(&io::Error::from_raw_os_error(errno)));
        }
        assert!(!is_descriptor_shortage(&io::Error::from_raw_os_error(
            libc::ECONNABORTED
        )));
    }
}
