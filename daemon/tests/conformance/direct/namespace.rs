//! A network namespace of a theme's own, for what is set for a whole namespace.

use std::{ffi::CString, fs, io, mem, panic, process::Command, thread};

/// Set in the process that runs again within a user namespace.
const WITHIN: &str = "FARSOCK_NAMESPACE";

/// Calls `run`, which `test` consists of, in a network namespace of its own with a loopback and these settings below /proc/sys/net. Without
/// the privilege the test runs once more in a user namespace; where that is not allowed either it is skipped, but not with CI=true.
pub(crate) fn within(test: &str, settings: &[(&str, &str)], run: fn()) {
    let outcome = thread::scope(|scope| {
        // The namespace is the thread's, and of the threads that it starts.
        let thread = scope.spawn(|| {
            enter()?;
            for (name, value) in settings {
                fs::write(format!("/proc/sys/net/{name}"), value)?;
            }
            run();
            Ok::<_, io::Error>(())
        });
        thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    });
    let Err(error) = outcome else { return };
    let within = std::env::var_os(WITHIN).is_some();
    if !within && again(test) {
        return;
    }
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!within && !ci, "no network namespace: {error}");
    eprintln!("skipped: {test}: no network namespace: {error}");
}

/// Runs the test once more, as root of a user namespace; whether that was possible.
fn again(test: &str) -> bool {
    let unshare = |program: &str, arguments: &[&str]| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", program])
            .args(arguments)
            .env(WITHIN, "1")
            .status()
            .is_ok_and(|status| status.success())
    };
    if !unshare("true", &[]) {
        return false;
    }
    let program = std::env::current_exe().expect("it has a path");
    let program = program.to_string_lossy();
    assert!(
        unshare(&program, &["--exact", test, "--nocapture"]),
        "it failed in a user namespace"
    );
    true
}

/// Puts this thread into a new network namespace, and brings its loopback up.
fn enter() -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a structure of integers and bytes, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let name = CString::new("lo").expect("no NUL");
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP).expect("the flags of an interface are 16 bits");
    // SAFETY: the request reads one ifreq.
    let set = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw mut request) };
    let error = io::Error::last_os_error();
    // SAFETY: opened above, and nobody else knows it.
    unsafe { libc::close(fd) };
    if set == 0 { Ok(()) } else { Err(error) }
}
