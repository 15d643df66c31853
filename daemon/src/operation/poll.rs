//! Poll: poll(2).

use std::{
    fmt::{self, Write as _},
    future::poll_fn,
    os::fd::AsFd,
    pin::Pin,
    sync::Arc,
    task::Poll as Async,
    time::{Duration, Instant},
};

use super::{Context, Operation};
use crate::{
    error::{Call, Error, Result},
    journal::{Answer, CallText},
    socket::{Fault, Socket, Wait},
    sys::{self, socket::Events},
    table::Handle,
};

/// Waits until one of several sockets is ready.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) entries: Vec<(Handle, Events)>,
    pub(crate) timeout: Option<Duration>,
}

/// A socket that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Its place among the entries.
    pub(crate) index: usize,
    pub(crate) handle: Handle,
    pub(crate) events: Events,
}

impl Operation for Poll {
    const VERB: &'static str = "Poll";
    type Output = Vec<Ready>;

    fn handle(&self) -> Option<Handle> {
        None
    }

    fn weight(&self) -> usize {
        size_of_val(&*self.entries)
    }

    fn room(&self) -> usize {
        1024 + 64 * self.entries.len()
    }

    fn others(&self) -> Vec<Handle> {
        self.entries.iter().map(|(handle, _)| *handle).collect()
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        call.write_str("poll([")?;
        let mut separator = "";
        for (handle, events) in &self.entries {
            write!(call, "{separator}{{fd={handle}, events={events}}}")?;
            separator = ", ";
        }
        write!(call, "], {}, ", self.entries.len())?;
        match self.timeout {
            Some(timeout) => write!(call, "{})", timeout.as_millis()),
            None => call.write_str("-1)"),
        }
    }

    fn answer(output: &Vec<Ready>) -> Answer<'_> {
        // As strace has it, and no more than a line.
        const MOST: usize = 8;
        let mut answer = Answer::number(output.len());
        for ready in output.iter().take(MOST) {
            answer = answer.with(format_args!(
                "{{fd={}, revents={}}}",
                ready.handle, ready.events
            ));
        }
        if output.len() > MOST {
            answer = answer.with("...");
        }
        answer
    }

    async fn execute(self, context: &Context) -> Result<Vec<Ready>> {
        let patience = context.patience(self.timeout);
        let limit = patience.end(None).map(|(at, _)| at);
        let sockets: Vec<Option<Arc<Socket>>> = self
            .entries
            .iter()
            .map(|(handle, _)| context.socket(*handle).ok())
            .collect();
        let wanted = self.wanted(&sockets);
        let mut waiting = None;
        loop {
            let ready = self.look(&sockets)?;
            if !ready.is_empty() || limit.is_some_and(|limit| limit <= Instant::now()) {
                return Ok(ready);
            }
            if waiting.is_none() {
                waiting = Some(context.engine.begin_waits(&patience, wanted.len())?);
            }
            let over = async {
                match limit {
                    Some(limit) => tokio::time::sleep_until(limit.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ready = any_ready(&wanted) => ready?,
                () = patience.cancelled() => return Err(Error::Cancelled(Call::new("poll"))),
                () = over => return Ok(Vec::new()),
            }
        }
    }
}

impl Poll {
    /// Which are ready now.
    fn look(&self, sockets: &[Option<Arc<Socket>>]) -> Result<Vec<Ready>> {
        let existing: Vec<_> = sockets
            .iter()
            .zip(&self.entries)
            .filter_map(|(socket, (_, events))| Some((socket.as_ref()?.as_fd(), *events)))
            .collect();
        let events = sys::socket::poll(&existing).map_err(|e| Call::new("poll").failed(e))?;
        let mut events = events.into_iter();
        Ok(sockets
            .iter()
            .zip(&self.entries)
            .enumerate()
            .filter_map(|(index, (socket, (handle, asked)))| {
                let events = match socket {
                    // What waits for the next call has already left the kernel.
                    Some(socket) => {
                        let mut events = events.next()?;
                        if socket.has_deferred() || socket.has_taken_errors() {
                            events = events | Events::ERR;
                        }
                        events | socket.kept_events(*asked)
                    }
                    // What poll(2) says of a descriptor that is not open.
                    None => Events::NVAL,
                };
                (events != Events::EMPTY).then_some(Ready {
                    index,
                    handle: *handle,
                    events,
                })
            })
            .collect())
    }

    /// What is to be waited for: of each socket, named by however many entries, all that they ask for together.
    fn wanted<'a>(&self, sockets: &'a [Option<Arc<Socket>>]) -> Vec<(&'a Socket, Events)> {
        let mut wanted: Vec<(&Socket, Events)> = sockets
            .iter()
            .zip(&self.entries)
            .filter_map(|(socket, (_, events))| Some((&**socket.as_ref()?, *events)))
            .collect();
        wanted.sort_unstable_by_key(|(socket, _)| socket.handle());
        wanted.dedup_by(|(again, events), (socket, all)| {
            let same = again.handle() == socket.handle();
            if same {
                *all = *all | *events;
            }
            same
        });
        wanted
    }
}

/// Returns when one of the sockets reports something.
async fn any_ready(wanted: &[(&Socket, Events)]) -> Result<()> {
    let mut waits: Vec<(Handle, Wait<'_>)> = wanted
        .iter()
        .map(|(socket, events)| (socket.handle(), socket.ready(*events)))
        .collect();
    poll_fn(|cx| {
        for (handle, wait) in &mut waits {
            if let Async::Ready(outcome) = Pin::new(wait).poll(cx) {
                let fault = |error| Fault::from(error).on(Call::on("poll", *handle));
                return Async::Ready(outcome.map(drop).map_err(fault));
            }
        }
        Async::Pending
    })
    .await
}
