//! This process: its user, its capabilities, and its limit of descriptors.

use std::{fs, io};

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

/// The soft limit of open descriptors. Corresponds to getrlimit(2) with RLIMIT_NOFILE.
pub(crate) fn descriptor_limit() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// Whether the error says that this process or the host has no descriptor left (EMFILE, ENFILE).
pub(crate) fn is_descriptor_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
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
