//! Who takes whatever has come, however little: Stream and Splice. SO_RCVLOWAT means nothing to them, but the kernel reports no readiness
//! below it; so it is 1 in the kernel for as long as they have the socket, and what the user has set is kept here.

use std::{
    os::fd::AsFd as _,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use super::Socket;
use crate::sys::{self, message::Framing};

/// How many streams and relays take from a socket without waiting for SO_RCVLOWAT.
///
/// Invariant: while there is one, SO_RCVLOWAT is 1 in the kernel, and `Socket::low_water` is what the user has set.
#[derive(Debug, Default)]
pub(super) struct Eager(Mutex<u32>);

impl Eager {
    fn lock(&self) -> MutexGuard<'_, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A relay that takes whatever has come, until it is dropped.
#[derive(Debug)]
pub(super) struct TakesAll<'a>(&'a Socket);

impl<'a> TakesAll<'a> {
    pub(super) fn new(socket: &'a Socket) -> Self {
        socket.begin_taking_all();
        Self(socket)
    }
}

impl Drop for TakesAll<'_> {
    fn drop(&mut self) {
        self.0.end_taking_all();
    }
}

impl Socket {
    /// From here on the socket is readable as soon as anything has come. Each beginning has its end.
    pub(crate) fn begin_taking_all(&self) {
        if self.framing() == Framing::Message {
            return;
        }
        let mut takers = self.eager.lock();
        *takers += 1;
        if *takers == 1 {
            self.hide_low_water();
        }
    }

    /// Gives the kernel back what the user has set.
    pub(crate) fn end_taking_all(&self) {
        if self.framing() == Framing::Message {
            return;
        }
        let mut takers = self.eager.lock();
        *takers -= 1;
        let low_water = self.low_water.load(Ordering::Relaxed);
        if *takers == 0 && low_water > 1 {
            sys::socket::set_receive_low_water(self.as_fd(), low_water);
        }
    }

    /// The handle ends; others may have the open socket, and shall find it as it was set.
    pub(super) fn leave_low_water(&mut self) {
        if *self.eager.lock() > 0 {
            let low_water = self.low_water.load(Ordering::Relaxed);
            if low_water > 1 {
                sys::socket::set_receive_low_water(self.as_fd(), low_water);
            }
        }
    }

    /// Keeps what the user has set SO_RCVLOWAT to just now.
    pub(super) fn low_water_was_set(&self) {
        let takers = self.eager.lock();
        if *takers == 0 {
            self.keep_low_water();
        } else {
            self.hide_low_water();
        }
    }

    /// Keeps SO_RCVLOWAT as the kernel has it, unless that is not the user's.
    pub(super) fn low_water_may_have_changed(&self) {
        if *self.eager.lock() == 0 {
            self.keep_low_water();
        }
    }

    /// What the user has set SO_RCVLOWAT to; none if the kernel knows it.
    pub(crate) fn hidden_low_water(&self) -> Option<usize> {
        let takers = self.eager.lock();
        (*takers > 0).then(|| self.low_water.load(Ordering::Relaxed))
    }

    fn hide_low_water(&self) {
        if self.keep_low_water() > 1 {
            sys::socket::set_receive_low_water(self.as_fd(), 1);
        }
    }

    fn keep_low_water(&self) -> usize {
        let low_water = sys::socket::receive_low_water(self.as_fd());
        self.low_water.store(low_water, Ordering::Relaxed);
        low_water
    }
}
