//! Waiting for one of several sockets to be ready.

use std::{fmt, ops::BitOr, time::Duration};

use farsock_proto::v1;

use crate::{
    Client, Error, RemoteSocket, Result,
    call::{Carried, Rpc, Tried, carried},
    convert,
};

impl Rpc for v1::PollRequest {
    type Response = v1::PollResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Poll";
    const VERB: &'static str = "poll";
    const CARRIED: Option<Carried<Self>> = carried!(Poll);

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

impl Client {
    /// Waits until one of several sockets is ready, at most for `timeout` (`None`: for ever; zero:
    /// not at all), and tells those that are, in the order of `entries`; none if the time was over.
    /// Takes 1-1,024 entries, sockets or handles. Corresponds to poll(2).
    ///
    /// A handle that does not exist is reported with [`PollEvents::NVAL`].
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for no entry or more than 1,024.
    pub async fn poll<H: AsHandle>(
        &self,
        entries: &[(H, PollEvents)],
        timeout: Option<Duration>,
    ) -> Result<Vec<PollReady>> {
        let request = v1::PollRequest {
            entries: entries
                .iter()
                .map(|(socket, events)| v1::PollEntry {
                    handle: socket.as_handle(),
                    events: events.to_wire(),
                })
                .collect(),
            timeout: convert::timeout(timeout),
        };
        let tried = Tried::of(&request);
        self.call(request)
            .await?
            .ready
            .into_iter()
            .map(|result| {
                Ok(PollReady {
                    index: convert::number("ready.index", result.index)
                        .map_err(|violation| Error::invalid_response(tried, violation))?,
                    handle: result.handle,
                    events: PollEvents::from_wire(&result.events),
                })
            })
            .collect()
    }
}

/// What names a socket of the daemon: a [`RemoteSocket`], or a handle's number.
pub trait AsHandle {
    /// The handle.
    fn as_handle(&self) -> u64;
}

impl AsHandle for u64 {
    fn as_handle(&self) -> u64 {
        *self
    }
}

impl AsHandle for RemoteSocket {
    fn as_handle(&self) -> u64 {
        self.handle()
    }
}

impl<H: AsHandle + ?Sized> AsHandle for &H {
    fn as_handle(&self) -> u64 {
        (**self).as_handle()
    }
}

/// One socket that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollReady {
    /// The entry's place in the call, from 0.
    pub index: usize,
    /// The socket's handle.
    pub handle: u64,
    /// What it is ready for.
    pub events: PollEvents,
}

/// A set of poll(2)'s events.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PollEvents(u8);

impl PollEvents {
    /// No event: only ERR, HUP and NVAL are reported.
    pub const NONE: Self = Self(0);
    /// POLLIN: there is something to receive or accept.
    pub const IN: Self = Self::of(v1::PollEvent::In);
    /// POLLPRI: there is out-of-band data.
    pub const PRI: Self = Self::of(v1::PollEvent::Pri);
    /// POLLOUT: a send would not wait; a connect has ended.
    pub const OUT: Self = Self::of(v1::PollEvent::Out);
    /// POLLERR: an error is pending, or the error queue is not empty. Always reported.
    pub const ERR: Self = Self::of(v1::PollEvent::Err);
    /// POLLHUP: both directions have ended. Always reported.
    pub const HUP: Self = Self::of(v1::PollEvent::Hup);
    /// POLLNVAL: there is no such handle. Always reported.
    pub const NVAL: Self = Self::of(v1::PollEvent::Nval);
    /// POLLRDHUP: the peer has ended its side.
    pub const RDHUP: Self = Self::of(v1::PollEvent::Rdhup);

    const ALL: [(Self, v1::PollEvent, &str); 7] = [
        (Self::IN, v1::PollEvent::In, "IN"),
        (Self::PRI, v1::PollEvent::Pri, "PRI"),
        (Self::OUT, v1::PollEvent::Out, "OUT"),
        (Self::ERR, v1::PollEvent::Err, "ERR"),
        (Self::HUP, v1::PollEvent::Hup, "HUP"),
        (Self::NVAL, v1::PollEvent::Nval, "NVAL"),
        (Self::RDHUP, v1::PollEvent::Rdhup, "RDHUP"),
    ];

    const fn of(event: v1::PollEvent) -> Self {
        // The events are numbered 1-7.
        Self(1 << event as u8)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no event in this set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the events in this set, such as "IN".
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .filter(move |&(event, ..)| self.contains(event))
            .map(|(.., name)| name)
    }

    fn to_wire(self) -> Vec<i32> {
        Self::ALL
            .into_iter()
            .filter(|&(event, ..)| self.contains(event))
            .map(|(_, event, _)| event.into())
            .collect()
    }

    /// Events that this client does not know cannot have been asked for, and are left out.
    fn from_wire(events: &[i32]) -> Self {
        Self::ALL
            .into_iter()
            .filter(|&(_, event, _)| events.contains(&event.into()))
            .fold(Self::NONE, |all, (event, ..)| all | event)
    }
}

impl BitOr for PollEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for PollEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names with `|` between them, such as "IN|HUP"; "0" for none.
impl fmt::Display for PollEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("0");
        }
        for (place, name) in self.names().enumerate() {
            let separator = if place == 0 { "" } else { "|" };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_events_survives_the_wire() {
        for bits in 0..=u8::MAX {
            let set = PollEvents(bits & !1);
            assert_eq!(PollEvents::from_wire(&set.to_wire()), set);
        }
    }

    #[test]
    fn events_read_as_their_names() {
        assert_eq!((PollEvents::IN | PollEvents::HUP).to_string(), "IN|HUP");
        assert_eq!(PollEvents::NONE.to_string(), "0");
    }

    #[test]
    fn unknown_events_are_left_out() {
        assert_eq!(PollEvents::from_wire(&[0, 1, 99, -1]), PollEvents::IN);
    }
}
