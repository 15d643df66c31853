//! Readiness: poll(2) without waiting, and its events.

use std::{
    fmt, io,
    ops::BitOr,
    os::fd::{AsRawFd, BorrowedFd},
};

use crate::sys::errno::check;

/// A set of events of poll(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Events(i16);

/// Which events each of `entries` has at this moment, among those asked for and ERR, HUP and NVAL; in the entries' order, and empty
/// where there is none. Corresponds to poll(2) with a timeout of 0.
pub(crate) fn poll(entries: &[(BorrowedFd<'_>, Events)]) -> io::Result<Vec<Events>> {
    let mut fds: Vec<_> = entries
        .iter()
        .map(|(fd, events)| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: events.0,
            revents: 0,
        })
        .collect();
    let count = fds
        .len()
        .try_into()
        .expect("nfds_t is as wide as a pointer");
    // SAFETY: `fds` is writable for `count` entries.
    check(unsafe { libc::poll(fds.as_mut_ptr(), count, 0) })?;
    Ok(fds.iter().map(|fd| Events(fd.revents)).collect())
}

/// Which of `events`, and of ERR, HUP and NVAL, the socket has at this moment. Corresponds to poll(2) with a timeout of 0.
pub(crate) fn poll_one(fd: BorrowedFd<'_>, events: Events) -> io::Result<Events> {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: events.0,
        revents: 0,
    };
    // SAFETY: `entry` is one writable entry.
    check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
    Ok(Events(entry.revents))
}

impl Events {
    /// No event.
    pub(crate) const EMPTY: Self = Self(0);
    /// POLLIN.
    pub(crate) const IN: Self = Self(libc::POLLIN);
    /// POLLPRI.
    pub(crate) const PRI: Self = Self(libc::POLLPRI);
    /// POLLOUT.
    pub(crate) const OUT: Self = Self(libc::POLLOUT);
    /// POLLERR.
    pub(crate) const ERR: Self = Self(libc::POLLERR);
    /// POLLHUP.
    pub(crate) const HUP: Self = Self(libc::POLLHUP);
    /// POLLNVAL.
    pub(crate) const NVAL: Self = Self(libc::POLLNVAL);
    /// POLLRDHUP.
    pub(crate) const RDHUP: Self = Self(libc::POLLRDHUP);

    const NAMED: [(Self, &'static str); 7] = [
        (Self::IN, "IN"),
        (Self::PRI, "PRI"),
        (Self::OUT, "OUT"),
        (Self::ERR, "ERR"),
        (Self::HUP, "HUP"),
        (Self::NVAL, "NVAL"),
        (Self::RDHUP, "RDHUP"),
    ];

    /// Whether all of `other` are in the set.
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of either set.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The events that epoll_wait(2) reported: those that poll(2) knows, without its own flags above them.
    pub(crate) fn from_epoll_bits(bits: u32) -> Self {
        const KNOWN: u32 = 0x3fff;
        Self(i16::try_from(bits & KNOWN).expect("14 bits fit"))
    }

    /// The same events for epoll_ctl(2), which has poll's numbers.
    pub(crate) fn epoll_bits(self) -> u32 {
        u32::from(self.0.cast_unsigned())
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// As strace(1) shows them: "POLLIN|POLLHUP", "0" for none.
impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMED.into_iter().filter(|row| self.contains(row.0));
        let Some((_, first)) = names.next() else {
            return f.write_str("0");
        };
        write!(f, "POLL{first}")?;
        names.try_for_each(|(_, name)| write!(f, "|POLL{name}"))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMED.into_iter().filter(|row| self.contains(row.0));
        f.debug_set().entries(names.map(|row| row.1)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use farsock_proto::socket::{Domain, Protocol, SocketType};

    use super::*;
    use crate::sys::socket::pair;

    #[test]
    fn the_numbers_of_poll_are_those_of_epoll() {
        let pairs = [
            (Events::IN, libc::EPOLLIN),
            (Events::PRI, libc::EPOLLPRI),
            (Events::OUT, libc::EPOLLOUT),
            (Events::ERR, libc::EPOLLERR),
            (Events::HUP, libc::EPOLLHUP),
            (Events::RDHUP, libc::EPOLLRDHUP),
        ];
        for (event, epoll) in pairs {
            assert_eq!(event.epoll_bits(), epoll.cast_unsigned());
        }
    }

    #[test]
    fn poll_tells_each_entrys_events_and_nothing_for_what_is_not_ready() -> io::Result<()> {
        let (a, b) = pair(Domain::Unix, SocketType::Stream, Protocol::Default)?;
        let ready = poll(&[
            (a.as_fd(), Events::IN | Events::OUT),
            (b.as_fd(), Events::IN),
        ])?;
        assert_eq!(ready, [Events::OUT, Events::EMPTY]);
        drop(b);
        let ready = poll(&[(a.as_fd(), Events::IN | Events::RDHUP)])?;
        assert_eq!(ready, [Events::IN | Events::HUP | Events::RDHUP]);
        assert!(ready[0].intersects(Events::HUP | Events::PRI));
        assert!(!ready[0].contains(Events::HUP | Events::PRI));
        assert!(poll(&[])?.is_empty());
        Ok(())
    }
}
