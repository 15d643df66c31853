//! One-shot readiness from the kernel (epoll(7)).

use std::{
    ffi::c_int,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::socket::Events;

/// How many events one [`Epoll::take`] returns at most.
const BATCH: c_int = 256;

/// An epoll instance whose registrations fire once and are then armed anew, or fire at changes.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

/// Which of the two ways to arm a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    /// It was never registered here.
    First,
    /// It was.
    Again,
}

/// When an armed descriptor reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Once, as soon as it has one of the events, which may be now (EPOLLONESHOT).
    Once,
    /// If it has one of the events now, and then at every further event, though those before it are still there (EPOLLET).
    Changes,
}

impl Epoll {
    /// Corresponds to epoll_create1(2).
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given it to us, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The instance, watched by tokio: readable when something has fired.
    pub(crate) fn watched(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is ours, `AsyncFd` owns it from here on, and nobody replaces or closes it.
        Ok(unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) }?)
    }

    /// A number is enough: epoll_ctl(2) on one that is no longer ours fails or arms for nothing, and touches no memory.
    ///
    /// Arms `fd` for reports of `events` (ERR and HUP always) under `key`. Corresponds to epoll_ctl(2).
    pub(crate) fn arm(
        &self,
        fd: RawFd,
        key: u64,
        events: Events,
        trigger: Trigger,
        arm: Arm,
    ) -> io::Result<()> {
        let trigger = match trigger {
            Trigger::Once => libc::EPOLLONESHOT,
            Trigger::Changes => libc::EPOLLET,
        };
        let mut event = libc::epoll_event {
            events: events.epoll_bits() | trigger.cast_unsigned(),
            u64: key,
        };
        let operation = match arm {
            Arm::First => libc::EPOLL_CTL_ADD,
            Arm::Again => libc::EPOLL_CTL_MOD,
        };
        // SAFETY: `event` lives through the call, which only reads it.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Forgets `fd`: a passed-on copy of the descriptor would keep the registration alive after our close.
    pub(crate) fn forget(&self, fd: RawFd) {
        // SAFETY: EPOLL_CTL_DEL takes no event. Failure means it was not registered, which is what we want.
        unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                fd,
                std::ptr::null_mut(),
            );
        }
    }

    /// Passes what has fired to `each`, and returns how many there were: 0 if none. Corresponds to epoll_wait(2) with a timeout
    /// of 0.
    pub(crate) fn take(&self, mut each: impl FnMut(u64, Events)) -> io::Result<usize> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH as usize];
        // SAFETY: the kernel writes at most BATCH entries into the array of BATCH.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH, 0) };
        let count = usize::try_from(count).map_err(|_negative| io::Error::last_os_error())?;
        for event in &events[..count] {
            each(event.u64, Events::from_epoll_bits(event.events));
        }
        Ok(count)
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
