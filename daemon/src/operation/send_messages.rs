//! SendMessages: sendmsg(2) and sendmmsg(2).

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::{self, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use farsock_proto::{
    Violation,
    address::Address,
    message::{ControlMessage, MessageFlags, Rights},
};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    socket::Socket,
    sys::message::{Outgoing, SentRights},
    table::{Handle, Reservation},
};

/// Sends several messages in order; answers how many bytes the kernel took of each.
#[derive(Debug)]
pub(crate) struct SendMessages {
    pub(crate) handle: Handle,
    pub(crate) messages: Vec<OutgoingMessage>,
    pub(crate) flags: MessageFlags,
    pub(crate) timeout: Option<Duration>,
}

/// One message to send.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMessage {
    pub(crate) data: Bytes,
    pub(crate) address: Option<Address>,
    pub(crate) control: Vec<ControlMessage<Rights>>,
}

impl OutgoingMessage {
    /// How many bytes it keeps in memory.
    fn weight(&self) -> usize {
        let control = self.control.iter().map(|control| match control {
            ControlMessage::Raw { data, .. } => data.len(),
            ControlMessage::Rights(rights) => size_of_val(&*rights.handles),
            _ => 0,
        });
        let contents = self.data.len() + control.sum::<usize>();
        size_of::<Self>() + size_of_val(&*self.control) + contents
    }
}

impl Operation for SendMessages {
    const VERB: &'static str = "SendMessages";
    type Output = Vec<usize>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn others(&self) -> Vec<Handle> {
        let messages = self.messages.iter();
        messages
            .flat_map(|message| named(&message.control))
            .map(Handle)
            .collect()
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let (handle, count) = (self.handle, self.messages.len());
        let name = if count == 1 { "sendmsg" } else { "sendmmsg" };
        write!(call, "{name}({handle}, ")?;
        if let Some(first) = self.messages.first() {
            call.write_str("{")?;
            if let Some(address) = &first.address {
                write!(call, "{address}, ")?;
            }
            call.payload();
            write!(call, ", {}", first.data.len())?;
            if !first.control.is_empty() {
                write!(call, ", {} control", first.control.len())?;
            }
            call.write_str("}, ")?;
        }
        if count != 1 {
            // The others are only counted: there may be a thousand.
            write!(call, "..., {count}, ")?;
        }
        write!(call, "{})", self.flags)
    }

    fn weight(&self) -> usize {
        self.messages.iter().map(OutgoingMessage::weight).sum()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.messages.first().map(|message| &*message.data)
    }

    fn answer(output: &Vec<usize>) -> Answer<'_> {
        match output.as_slice() {
            [length] => Answer::number(*length).moved(*length),
            lengths => Answer::number(lengths.len()).moved(lengths.iter().sum()),
        }
    }

    async fn execute(self, context: &Context) -> Result<Vec<usize>> {
        let patience = context.patience(self.timeout);
        let socket = context.socket(self.handle)?;
        let count = self.messages.len();
        let copies = Copies::of(context, &self.messages)?;
        let travellers: Vec<Vec<BorrowedFd<'_>>> = self
            .messages
            .iter()
            .map(|message| copies.named_by(&message.control))
            .collect();
        let mut messages: Vec<Outgoing<'_>> = self
            .messages
            .into_iter()
            .zip(&travellers)
            .enumerate()
            .map(|(at, (message, sockets))| {
                prepare(message, sockets)
                    .map_err(|violation| violation.within(&format!("messages[{at}]")))
            })
            .collect::<Result<_, _>>()?;
        socket
            .send_messages(&context.engine, &patience, &mut messages, self.flags)
            .await
            .map_err(|fault| {
                fault.on(Call::on("sendmmsg", self.handle).with(format_args!("{count} messages")))
            })
    }
}

/// Copies of the descriptors of the sockets that travel, one of each. As the kernel's references to what a waiting sendmsg(2) sends, they
/// keep the open sockets open, but nothing of their handles: those can be closed meanwhile.
struct Copies<'a> {
    context: &'a Context,
    /// Each with room in the table, since it takes a descriptor as a handle does.
    by_handle: HashMap<u64, (OwnedFd, Reservation<'a>)>,
}

impl<'a> Copies<'a> {
    fn of(context: &'a Context, messages: &[OutgoingMessage]) -> Result<Self> {
        let mut copies = Self {
            context,
            by_handle: HashMap::new(),
        };
        for handle in messages.iter().flat_map(|message| named(&message.control)) {
            if let Entry::Vacant(place) = copies.by_handle.entry(handle) {
                let socket = traveller(context, handle)?;
                let room = context.engine.table.reserve()?;
                let copy = socket.as_fd().try_clone_to_owned().map_err(|error| {
                    let call = Call::on("fcntl", Handle(handle)).with("F_DUPFD_CLOEXEC");
                    call.failed(error)
                })?;
                place.insert((copy, room));
            }
        }
        Ok(copies)
    }

    /// Those that control messages name, in order.
    fn named_by(&self, control: &[ControlMessage<Rights>]) -> Vec<BorrowedFd<'_>> {
        named(control)
            .filter_map(|handle| Some(self.by_handle.get(&handle)?.0.as_fd()))
            .collect()
    }
}

impl Drop for Copies<'_> {
    fn drop(&mut self) {
        for (_, (copy, _)) in self.by_handle.drain() {
            // It may be the last of its socket by now, and its close linger.
            let engine = &self.context.engine;
            engine.close_descriptor(self.context.owner, copy);
        }
    }
}

/// The sockets that control messages name, in order.
pub(crate) fn travellers(
    context: &Context,
    control: &[ControlMessage<Rights>],
) -> Result<Vec<Arc<Socket>>> {
    named(control)
        .map(|handle| traveller(context, handle))
        .collect()
}

fn traveller(context: &Context, handle: u64) -> Result<Arc<Socket>> {
    let socket = context.socket(Handle(handle))?;
    socket.mark_shared();
    Ok(socket)
}

/// The handles that control messages name, in order.
fn named(control: &[ControlMessage<Rights>]) -> impl Iterator<Item = u64> {
    control
        .iter()
        .filter_map(|message| match message {
            ControlMessage::Rights(rights) => Some(&rights.handles),
            _ => None,
        })
        .flatten()
        .copied()
}

/// A message in the kernel's form, its handles replaced by the descriptors of `sockets`.
pub(crate) fn prepare(
    message: OutgoingMessage,
    sockets: &[impl AsFd],
) -> Result<Outgoing<'_>, Violation> {
    let mut sockets = sockets.iter();
    let control = message
        .control
        .into_iter()
        .map(|control| {
            control.map_rights(|rights| {
                let taken = sockets.by_ref().take(rights.handles.len());
                Ok::<_, Violation>(SentRights(taken.map(AsFd::as_fd).collect()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Outgoing::new(message.data, message.address.as_ref(), &control)
}
