//! Accept: accept4(2).

use std::{
    fmt::{self, Write as _},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use farsock_proto::address::Address;

use super::{Context, Operation, undo::GivenConnection};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    socket::{Connection, Fault},
    table::Handle,
};

/// Takes the next connection from a listening socket's queue.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) handle: Handle,
    pub(crate) nonblocking: bool,
    pub(crate) timeout: Option<Duration>,
    /// The number that the connection shall have; 0 for the next.
    pub(crate) new_handle: u64,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) handle: Handle,
    pub(crate) peer: Option<Address>,
}

impl Operation for Accept {
    const VERB: &'static str = "Accept";
    type Output = Accepted;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        if self.nonblocking {
            write!(call, "accept4({}, SOCK_NONBLOCK)", self.handle)
        } else {
            write!(call, "accept({})", self.handle)
        }
    }

    fn answer(output: &Accepted) -> Answer<'_> {
        Answer::handle(output.handle).with_any(output.peer.as_ref())
    }

    async fn execute(self, context: &Context) -> Result<Accepted> {
        let patience = context.patience(self.timeout);
        let engine = &context.engine;
        let listener = context.socket(self.handle)?;
        let mut claim = context.claim(self.new_handle)?;
        listener
            .accept(engine, &patience, |fd| {
                let mut accept = || {
                    // Room comes first: once the kernel has given the connection away it must be kept.
                    let room = engine.table.reserve().map_err(Fault::Refused)?;
                    let generation = listener.kept().generation();
                    let Connection { fd, peer, position } = listener.accept_now(fd)?;
                    let socket = context
                        .keep(room, claim.take(), fd, listener.kind(), self.nonblocking)
                        .map_err(Fault::Refused)?;
                    // It inherits the listening socket's options.
                    socket.inherit(&listener);
                    listener
                        .counters
                        .connections_accepted
                        .fetch_add(1, Ordering::Relaxed);
                    let handle = socket.handle();
                    let given = GivenConnection {
                        engine: Arc::clone(engine),
                        owner: context.owner,
                        listener: Arc::downgrade(&listener),
                        generation,
                        position,
                        handle,
                        peer: peer.clone(),
                    };
                    Ok((Accepted { handle, peer }, given))
                };
                match &context.watch {
                    Some(watch) => watch
                        .undo()
                        .act(|| accept().map(|(accepted, given)| (accepted, Box::new(given) as _))),
                    None => accept().map(|(accepted, _)| accepted),
                }
            })
            .await
            .map_err(|fault| fault.on(Call::on("accept", self.handle)))
    }
}
