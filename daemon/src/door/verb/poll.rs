//! Poll on the wire.

use farsock_proto::{
    Violation,
    v1::{PollEntry, PollEvent, PollRequest, PollResponse, PollResult},
};

use super::{Verb, timeout};
use crate::{
    operation::{Events, MAX_MESSAGES, Poll, Ready},
    table::Handle,
};

/// The wire's events and the kernel's.
const EVENTS: [(PollEvent, Events); 7] = [
    (PollEvent::In, Events::IN),
    (PollEvent::Pri, Events::PRI),
    (PollEvent::Out, Events::OUT),
    (PollEvent::Err, Events::ERR),
    (PollEvent::Hup, Events::HUP),
    (PollEvent::Nval, Events::NVAL),
    (PollEvent::Rdhup, Events::RDHUP),
];

impl Verb for PollRequest {
    type Operation = Poll;
    type Response = PollResponse;

    fn operation(&mut self) -> Result<Poll, Violation> {
        if !(1..=MAX_MESSAGES).contains(&self.entries.len()) {
            let count = self.entries.len();
            let description = format!("{count} are not within 1-{MAX_MESSAGES}");
            return Err(Violation::new("entries", description));
        }
        Ok(Poll {
            entries: self
                .entries
                .iter()
                .enumerate()
                .map(|(at, wire)| entry(wire).map_err(|v| v.within(&format!("entries[{at}]"))))
                .collect::<Result<_, _>>()?,
            timeout: timeout(self.timeout)?,
        })
    }

    fn response(self, ready: Vec<Ready>) -> PollResponse {
        PollResponse {
            ready: ready
                .into_iter()
                .map(|ready| PollResult {
                    index: u32::try_from(ready.index).expect("entries are at most 1,024"),
                    handle: ready.handle.0,
                    events: EVENTS
                        .iter()
                        .filter(|(_, events)| ready.events.contains(*events))
                        .map(|(wire, _)| i32::from(*wire))
                        .collect(),
                })
                .collect(),
        }
    }
}

fn entry(wire: &PollEntry) -> Result<(Handle, Events), Violation> {
    let mut events = Events::EMPTY;
    for (at, value) in wire.events.iter().enumerate() {
        let (_, event) = EVENTS
            .iter()
            .find(|(wire, _)| i32::from(*wire) == *value)
            .ok_or_else(|| {
                Violation::new(format!("events[{at}]"), format!("{value} is not an event"))
            })?;
        events = events | *event;
    }
    Ok((Handle(wire.handle), events))
}
