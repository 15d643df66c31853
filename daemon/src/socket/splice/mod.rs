//! A relay between two sockets: both directions at once, until both have ended or somebody ends them.
//!
//! No tasks: both directions run in the operation's own future.

mod flow;
mod waits;

use farsock_proto::Violation;

use self::flow::{End, Flow};
use super::{Ended, Patience, Socket, Turn};
use crate::{
    engine::Engine,
    error::{Call, Error, Result},
    sys::message::Framing,
};

/// What became of both directions.
#[derive(Debug)]
pub(crate) struct Spliced {
    pub(crate) first_to_second: Moved,
    /// None if both are one socket.
    pub(crate) second_to_first: Option<Moved>,
}

/// What became of one direction.
#[derive(Debug)]
pub(crate) struct Moved {
    /// How many bytes were received of one socket and taken by the other.
    pub(crate) bytes: u64,
    /// How many more were received.
    pub(crate) undelivered: u64,
    /// What ended it, if it was not the end of the stream.
    pub(crate) error: Option<Error>,
}

impl Socket {
    /// Relays between this socket and `other`, which may be the same, until both directions have ended. It has its turn in the lanes of
    /// both for as long.
    ///
    /// # Errors
    /// One socket carries bytes and the other messages; a limit of the daemon is reached; pipe2(2) fails; or it was ended before it did
    /// anything.
    pub(crate) async fn splice(
        &self,
        engine: &Engine,
        patience: &Patience,
        other: &Self,
    ) -> Result<Spliced> {
        if self.framing() != other.framing() {
            let (first, second) = match self.framing() {
                Framing::Stream => ("bytes", "messages"),
                Framing::Message => ("messages", "bytes"),
            };
            let description = format!("carries {second}, but the first socket {first}");
            return Err(Violation::new("second", description).into());
        }
        let same = self.handle() == other.handle();
        let _waiting = engine.begin_wait(patience)?;
        // Outside of what is dropped when somebody ends it: turns are kept until all is settled, in the reverse order.
        let mut turns = Vec::new();
        let mut flows = Vec::new();
        let end = tokio::select! {
            // What has happened counts, even if it is too late.
            biased;
            end = relay(engine, (self, other), &mut turns, &mut flows) => end?,
            end = self.ended() => Some(end),
            end = other.ended(), if !same => Some(end),
            () = patience.cancelled() => Some(End::Cancelled),
            () = over(patience) => Some(End::TimedOut),
        };
        for flow in &mut flows {
            if let Some(end) = end {
                flow.end(end);
            }
        }

        let call = || Call::new("splice").with(format_args!("{}, {}", self.handle, other.handle));
        let untouched = flows.iter().map(Flow::ended_untouched);
        if let Some(end) = untouched.reduce(Option::and).unwrap_or(end) {
            return Err(match end {
                End::TimedOut => Error::TimedOut(call()),
                End::Cancelled => Error::Cancelled(call()),
                End::Socket(handle, ended) => of_socket(handle, ended),
            });
        }
        let told = |end| match end {
            End::TimedOut => Error::TimedOutMidway(call()),
            End::Cancelled => Error::CancelledMidway(call()),
            End::Socket(handle, ended) => of_socket(handle, ended),
        };
        let mut moved = flows.iter_mut().map(|flow| Moved {
            bytes: flow.moved(),
            undelivered: flow.undelivered(),
            error: flow.error(told),
        });
        Ok(Spliced {
            first_to_second: moved.next().expect("a relay that did anything has flows"),
            second_to_first: moved.next(),
        })
    }

    /// Waits until waiting on the socket is over for good. This is what counts as the relay's wait on it.
    async fn ended(&self) -> End {
        End::Socket(self.handle, self.reactor.ended(&self.source).await)
    }
}

/// Takes its turns and relays. Turns are taken by handle upwards, and of each handle in the same order, so that no two relays wait for
/// each other; no other call has two.
async fn relay<'a>(
    engine: &'a Engine,
    (first, second): (&'a Socket, &'a Socket),
    turns: &mut Vec<Turn<'a>>,
    flows: &mut Vec<Flow<'a>>,
) -> Result<Option<End>> {
    let mut sockets = vec![first, second];
    sockets.sort_by_key(|socket| socket.handle());
    sockets.dedup_by_key(|socket| socket.handle());
    for socket in &sockets {
        turns.push(socket.receives.turn_uncounted().await);
        turns.push(socket.sends.turn_uncounted().await);
    }
    for socket in &sockets {
        if let Some(ended) = socket.source.ended() {
            return Ok(Some(End::Socket(socket.handle(), ended)));
        }
        if socket.not_streaming().is_err() {
            return Err(Error::StreamInUse(socket.handle()));
        }
    }

    let no_pipe = |error| Call::new("pipe2").failed(error);
    flows.push(Flow::new(first, second).map_err(no_pipe)?);
    if sockets.len() > 1 {
        flows.push(Flow::new(second, first).map_err(no_pipe)?);
    }
    match &mut flows[..] {
        [there, back] => loop {
            tokio::select! {
                () = there.run(engine), if !there.has_ended() => back.follow(there),
                () = back.run(engine), if !back.has_ended() => there.follow(back),
                else => break,
            }
        },
        flows => {
            for flow in flows {
                flow.run(engine).await;
            }
        }
    }
    Ok(None)
}

/// Returns when the request's `timeout` is over.
async fn over(patience: &Patience) {
    match patience.end(None) {
        Some((at, _)) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn of_socket(handle: super::Handle, ended: Ended) -> Error {
    match ended {
        Ended::Closed => Error::HandleClosed(handle),
        Ended::Expired => Error::SessionExpired,
        Ended::Draining => Error::Draining,
    }
}
