//! What every receive answers: one message, its sockets under handles.

use std::{
    convert::Infallible,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags, Rights},
};

use super::{Context, undo::GivenMessages};
use crate::{
    journal::Answer,
    socket::{Fault, ReceiveRequest, Socket, Taken},
    sys::{
        self,
        message::{Received, ReceivedRights},
    },
    table::Handle,
};

/// One message received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedMessage {
    pub(crate) data: Bytes,
    pub(crate) address: Option<Address>,
    pub(crate) flags: MessageFlags,
    pub(crate) full_length: usize,
    pub(crate) end_of_stream: bool,
    pub(crate) control: Vec<ControlMessage<Rights>>,
}

impl ReceivedMessage {
    /// What a receive has returned. Sockets that came with it go into the table.
    pub(crate) fn new(context: &Context, received: Received) -> Self {
        let adopted = |rights| Ok::<_, Infallible>(adopt(context, rights));
        let control = received.control.into_iter().map(|control| {
            let Ok(control) = control.map_rights(adopted);
            control
        });
        Self {
            data: received.data,
            address: received.address,
            flags: received.flags,
            full_length: received.full_length,
            end_of_stream: received.is_end,
            control: control.collect(),
        }
    }
}

impl ReceivedMessage {
    /// The answer of a receive, which has `taken` that; it can be given back until it is acknowledged.
    ///
    /// # Errors
    /// It was cancelled, and what it took was given back.
    pub(super) fn answer_with(
        context: &Context,
        socket: &Arc<Socket>,
        asked: (ReceiveRequest, usize),
        taken: Taken<'_>,
    ) -> Result<Vec<Self>, Fault> {
        let (request, _) = asked;
        let mut given = taken
            .is_watched()
            .then(|| GivenMessages::new(context, socket, taken.origin()));
        taken.answer(asked, |received| {
            let messages = received.into_iter().map(|mut message| {
                if let Some(given) = &mut given {
                    given.push(&message);
                }
                if !request.address {
                    message.address = None;
                }
                let message = Self::new(context, message);
                if let Some(given) = &mut given {
                    given.complete(message.handles());
                }
                message
            });
            let messages = messages.collect();
            (messages, given.map(|given| Box::new(given) as _))
        })
    }

    /// What it says in the journal.
    pub(super) fn answer(&self) -> Answer<'_> {
        let flags = (!self.flags.is_empty()).then_some(self.flags);
        let made: Vec<_> = self.handles().collect();
        let sockets = (!made.is_empty()).then_some("SCM_RIGHTS");
        Answer::number(self.data.len())
            .moved(self.data.len())
            .payload(&self.data)
            .with_any(self.address.as_ref())
            .with_any(flags)
            .with_any(sockets)
            .made(&made)
    }

    /// The sockets that came with it.
    pub(super) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.control
            .iter()
            .filter_map(|message| match message {
                ControlMessage::Rights(rights) => Some(&rights.handles),
                _ => None,
            })
            .flatten()
            .map(|handle| Handle(*handle))
    }
}

/// Puts received sockets into the table; those it has no room for are closed and counted.
fn adopt(context: &Context, rights: ReceivedRights) -> Rights {
    let mut adopted = Rights {
        handles: Vec::new(),
        discarded: rights.discarded,
    };
    for fd in rights.others {
        context.engine.close_descriptor(context.owner, fd);
    }
    for fd in rights.sockets {
        match adopt_one(context, fd) {
            Some(handle) => adopted.handles.push(handle.0),
            None => adopted.discarded += 1,
        }
    }
    adopted
}

/// The handle of a received socket; none if there is no room for it, the session is over, or its family or type is not allowed.
///
/// Such a handle waits like a fresh one: O_NONBLOCK lives in the open file description, which the sender may share, and ours is
/// always set, so what it was says nothing about what the caller wants.
fn adopt_one(context: &Context, fd: OwnedFd) -> Option<Handle> {
    let room = context.engine.table.reserve();
    let kind = sys::socket::kind(fd.as_fd());
    // One that could not have been created here is not taken in by this way either.
    let families = context.engine.allowed().families;
    let kind = kind.ok().filter(|kind| kind.is_listed(families));
    let (Ok(room), Some(kind)) = (room, kind) else {
        // It may be the last of its socket, and its close linger.
        context.engine.close_descriptor(context.owner, fd);
        return None;
    };
    let socket = context.keep(room, None, fd, kind, false).ok()?;
    socket.mark_shared();
    socket.options_changed();
    Some(socket.handle())
}
