//! What of a socket's options says whether a call on it waits, how long, and for how much: SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT.

use std::{
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use farsock_proto::{
    message::MessageFlags,
    option::{OptionName, OptionValue},
};

use super::{Direction, Socket};
use crate::sys;

impl Socket {
    /// Reads again what the socket keeps of its options.
    pub(crate) fn options_changed(&self) {
        self.low_water_may_have_changed();
        self.peeks_onward
            .store(sys::socket::peeks_onward(self.as_fd()), Ordering::Relaxed);
    }

    /// SO_RCVLOWAT, which whoever else has the open socket can change.
    pub(super) fn low_water(&self) -> usize {
        match self.shared.load(Ordering::Relaxed) {
            true => sys::socket::receive_low_water(self.as_fd()),
            false => self.low_water.load(Ordering::Relaxed),
        }
    }

    /// Keeps what the socket keeps of an option that was set.
    pub(crate) fn option_was_set(&self, name: &OptionName, value: &OptionValue) {
        if sys::option::is_low_water(name) {
            self.low_water_was_set();
        }
        self.options_changed();
        if let Some((limit, negative)) = sys::option::time_limit(name, value) {
            self.at_once(limit).store(negative, Ordering::Relaxed);
        }
    }

    /// Takes over what an accepted socket has from the one that listened.
    pub(crate) fn inherit(&self, listener: &Self) {
        self.options_changed();
        if self.kind().is_internet() {
            for limit in [Direction::Receive, Direction::Send] {
                let at_once = listener.at_once(limit).load(Ordering::Relaxed);
                self.at_once(limit).store(at_once, Ordering::Relaxed);
            }
        }
    }

    fn at_once(&self, direction: Direction) -> &AtomicBool {
        match direction {
            Direction::Receive => &self.receives_at_once,
            Direction::Send => &self.sends_at_once,
        }
    }

    /// Whether an operation with these flags waits: not on a non-blocking socket, not with MSG_DONTWAIT, and not with a negative time
    /// limit.
    pub(super) fn may_wait(&self, flags: MessageFlags, direction: Direction) -> bool {
        self.waits(Some(direction)) && !flags.contains(MessageFlags::DONTWAIT)
    }

    /// Whether an operation waits that says nothing about it, and has this time limit.
    pub(super) fn waits(&self, limit: Option<Direction>) -> bool {
        let at_once = |limit| self.at_once(limit).load(Ordering::Relaxed);
        !self.is_nonblocking() && !limit.is_some_and(at_once)
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO, if one of them is the limit.
    pub(super) fn timeout(&self, limit: Option<Direction>) -> Option<Duration> {
        let limit = limit?;
        if self.at_once(limit).load(Ordering::Relaxed) {
            return Some(Duration::ZERO);
        }
        match limit {
            Direction::Receive => sys::socket::receive_timeout(self.as_fd()),
            Direction::Send => sys::socket::send_timeout(self.as_fd()),
        }
    }
}
