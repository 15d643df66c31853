//! What operations took or made, as it is given back when they are cancelled after their answer.

use std::sync::{Arc, Weak, atomic::Ordering};

use farsock_proto::{address::Address, message::ControlMessage};

use super::Context;
use crate::{
    engine::{Engine, Owner},
    error::{Call, Result},
    socket::{Connection, Ended, GiveBack, Place, Socket, without_sockets},
    sys::message::Received,
    table::Handle,
};

/// Messages that a receive took.
#[derive(Debug)]
pub(super) struct GivenMessages {
    engine: Arc<Engine>,
    owner: Owner,
    socket: Weak<Socket>,
    generation: u64,
    place: Place,
    messages: Vec<GivenMessage>,
}

#[derive(Debug)]
struct GivenMessage {
    /// Without its sockets.
    received: Received,
    /// Where these are now.
    handles: Vec<Handle>,
}

impl GivenMessages {
    pub(super) fn new(
        context: &Context,
        socket: &Arc<Socket>,
        (place, generation): (Place, u64),
    ) -> Self {
        Self {
            engine: Arc::clone(&context.engine),
            owner: context.owner,
            socket: Arc::downgrade(socket),
            generation,
            place,
            messages: Vec::new(),
        }
    }

    /// One more message; its sockets are to follow.
    pub(super) fn push(&mut self, received: &Received) {
        self.messages.push(GivenMessage {
            received: without_sockets(received),
            handles: Vec::new(),
        });
    }

    /// The handles that the last message's sockets have.
    pub(super) fn complete(&mut self, handles: impl Iterator<Item = Handle>) {
        if let Some(last) = self.messages.last_mut() {
            last.handles.extend(handles);
        }
    }
}

impl GiveBack for GivenMessages {
    fn give_back(self: Box<Self>) {
        let Self {
            engine,
            owner,
            socket,
            generation,
            place,
            messages,
        } = *self;
        let Some(socket) = socket.upgrade() else {
            // It was closed: what came with the messages is for nobody.
            for handle in messages.into_iter().flat_map(|message| message.handles) {
                close(&engine, owner, handle);
            }
            return;
        };
        let received: Vec<_> = messages
            .into_iter()
            .map(|message| with_sockets(&engine, owner, message))
            .collect();
        socket.uncount_received(&received);
        socket.kept().put_back(place, generation, received);
    }
}

/// A message with its sockets, which no longer have their handles. Those that cannot be had are counted.
fn with_sockets(engine: &Engine, owner: Owner, message: GivenMessage) -> Received {
    let mut received = message.received;
    let rights = received
        .control
        .iter_mut()
        .find_map(|control| match control {
            ControlMessage::Rights(rights) => Some(rights),
            _ => None,
        });
    if let Some(rights) = rights {
        for handle in message.handles {
            let socket = engine.table.remove(handle, owner).ok();
            match socket.and_then(|socket| reclaim(engine, socket)) {
                Some(fd) => rights.sockets.push(fd),
                None => rights.discarded += 1,
            }
        }
    }
    received
}

/// A connection that Accept took.
#[derive(Debug)]
pub(super) struct GivenConnection {
    pub(super) engine: Arc<Engine>,
    pub(super) owner: Owner,
    pub(super) listener: Weak<Socket>,
    pub(super) generation: u64,
    pub(super) position: u64,
    pub(super) handle: Handle,
    pub(super) peer: Option<Address>,
}

impl GiveBack for GivenConnection {
    fn give_back(self: Box<Self>) {
        let Self { engine, owner, .. } = *self;
        let Ok(socket) = engine.table.remove(self.handle, owner) else {
            // It was closed.
            return;
        };
        let Some(listener) = self.listener.upgrade() else {
            // As the kernel does with what waits to be accepted.
            socket.reset_on_close();
            drop(engine.close(socket, Ended::Closed));
            return;
        };
        let accepted = &listener.counters.connections_accepted;
        accepted.fetch_sub(1, Ordering::Relaxed);
        if let Some(fd) = reclaim(&engine, socket) {
            let connection = Connection {
                fd,
                peer: self.peer,
                position: self.position,
            };
            if let Err(fd) = listener.kept().put_connection(self.generation, connection) {
                engine.close_descriptor(owner, fd);
            }
        }
    }
}

/// Sockets that were made.
#[derive(Debug)]
struct Made {
    engine: Arc<Engine>,
    owner: Owner,
    handles: Vec<Handle>,
}

impl GiveBack for Made {
    fn give_back(self: Box<Self>) {
        for handle in self.handles {
            close(&self.engine, self.owner, handle);
        }
    }
}

impl Context {
    /// Notes that the operation has made sockets: cancelled after its answer, they are closed.
    ///
    /// # Errors
    /// It was cancelled before: they are closed.
    pub(super) fn made(&self, call: impl FnOnce() -> Call, handles: &[Handle]) -> Result<()> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        let made = || {
            Box::new(Made {
                engine: Arc::clone(&self.engine),
                owner: self.owner,
                handles: handles.to_vec(),
            })
        };
        watch.undo().act(|| Ok(((), made() as _))).map_err(|fault| {
            made().give_back();
            fault.on(call())
        })
    }
}

/// The descriptor of a socket that has left the table, which is closed as far as its handle is concerned.
fn reclaim(engine: &Engine, socket: Arc<Socket>) -> Option<std::os::fd::OwnedFd> {
    for fd in socket.forget_kept().sockets {
        engine.close_descriptor(socket.owner(), fd);
    }
    socket.into_descriptor()
}

fn close(engine: &Engine, owner: Owner, handle: Handle) {
    if let Ok(socket) = engine.table.remove(handle, owner) {
        // Nobody waits for its answer.
        drop(engine.close(socket, Ended::Closed));
    }
}
