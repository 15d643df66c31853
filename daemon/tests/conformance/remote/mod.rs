//! The daemon's world: the same calls by farsock-client, over an embedded daemon.

mod info;
mod message;
mod perform;
mod relay;

use std::{collections::HashMap, time::Instant};

use farsock_client::{Address, Client};
use tokio::task::JoinHandle;

pub(crate) use perform::{failure, get_raw_option, named};

use crate::{
    call::{Call, Slot},
    outcome::{Failure, Outcome},
    world::{self, DEADLINE, World},
};

/// Far above any handle that was given out.
const NO_SOCKET: u64 = 1 << 40;

/// Sockets of a daemon, called by a client.
pub(crate) struct Remote {
    client: Client,
    place: world::Place,
    sockets: HashMap<Slot, u64>,
    started: HashMap<usize, JoinHandle<Outcome<u64>>>,
    /// Calls that were begun and not finished, by the handle that they wait on.
    waiting: HashMap<usize, u64>,
}

impl Remote {
    pub(crate) fn new(client: Client, place: world::Place) -> Self {
        Self {
            client,
            place,
            sockets: HashMap::new(),
            started: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    async fn resolve(&mut self, call: Call) -> Call<u64, Address> {
        let Self {
            client,
            place,
            sockets,
            ..
        } = self;
        let socket = |slot| sockets.get(&slot).copied().unwrap_or(NO_SOCKET);
        call.resolve(socket, async |address| {
            let handle = address.slot().and_then(|slot| sockets.get(&slot));
            let now = match handle {
                Some(handle) => client.adopt(*handle).socket_name().await.ok(),
                None => None,
            };
            place.address(address, now)
        })
        .await
    }

    async fn settle(&mut self, outcome: Outcome<u64>, makes: &[Slot]) -> Outcome {
        let value = outcome?;
        for (slot, handle) in makes.iter().zip(value.made()) {
            self.sockets.insert(*slot, *handle);
        }
        let extra: Vec<u64> = value
            .made()
            .into_iter()
            .skip(makes.len())
            .copied()
            .collect();
        for handle in extra {
            let _ = self.client.adopt(handle).close().await;
        }
        let slots: HashMap<u64, Slot> = self
            .sockets
            .iter()
            .map(|(slot, handle)| (*handle, *slot))
            .collect();
        Ok(value.map(&mut self.place.names, |handle| {
            slots.get(&handle).copied().unwrap_or(Slot::NONE)
        }))
    }
}

impl World for Remote {
    async fn call(&mut self, call: Call, makes: &[Slot]) -> Outcome {
        const TAG: usize = usize::MAX;
        self.start(TAG, call).await;
        self.finish(TAG, makes).await
    }

    async fn start(&mut self, tag: usize, call: Call) {
        let closed = match &call {
            Call::Close { socket, .. } => Some(*socket),
            _ => None,
        };
        let call = self.resolve(call).await;
        if let Some(slot) = closed {
            self.sockets.remove(&slot);
        }
        if let Some(handle) = call.waits_on() {
            self.waiting.insert(tag, handle);
        }
        let client = self.client.clone();
        self.started
            .insert(tag, tokio::spawn(perform::perform(client, call)));
    }

    async fn waits(&mut self, tag: usize, call: &Call) -> Result<(), String> {
        let limit = Instant::now() + DEADLINE;
        let handle = self.waiting.get(&tag).copied();
        let expected = self
            .waiting
            .values()
            .filter(|other| Some(**other) == handle)
            .count();
        loop {
            let ended = self
                .started
                .get(&tag)
                .ok_or("nothing was started")?
                .is_finished();
            let waiting = match handle {
                Some(handle) => {
                    let info = self.client.adopt(handle).info().await;
                    info.map_err(|error| error.to_string())?.waiting_operations as usize
                }
                // Close: its handle is gone as soon as it has begun.
                None if matches!(call, Call::Close { .. }) => expected,
                None => return Err(format!("{call:?} does not wait")),
            };
            if ended {
                return Err("it has ended".to_owned());
            }
            if waiting >= expected {
                return Ok(());
            }
            if Instant::now() > limit {
                return Err(format!(
                    "{waiting} operations wait on {handle:?}, not {expected}"
                ));
            }
            world::a_moment().await;
        }
    }

    async fn finish(&mut self, tag: usize, makes: &[Slot]) -> Outcome {
        self.waiting.remove(&tag);
        let started = self
            .started
            .remove(&tag)
            .ok_or_else(|| Failure::Other("nothing was started".to_owned()))?;
        let outcome = match tokio::time::timeout(DEADLINE, started).await {
            Ok(joined) => joined.unwrap_or_else(|error| Err(Failure::Other(error.to_string()))),
            Err(elapsed) => Err(Failure::Other(format!("no answer: {elapsed}"))),
        };
        self.settle(outcome, makes).await
    }

    async fn end(&mut self) {
        for (_, handle) in self.sockets.drain() {
            let _ = self.client.adopt(handle).close().await;
        }
    }
}
