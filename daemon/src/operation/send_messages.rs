//! SendMessages: sendmsg(2) and sendmmsg(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
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
    table::Handle,
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

impl Operation for SendMessages {
    const VERB: &'static str = "SendMessages";
    type Output = Vec<usize>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn others(&self) -> Vec<Handle> {
        let control = self.messages.iter().flat_map(|message| &message.control);
        control
            .filter_map(|message| match message {
                ControlMessage::Rights(rights) => Some(&rights.handles),
                _ => None,
            })
            .flatten()
            .map(|handle| Handle(*handle))
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
        let bytes = self.messages.iter().map(|message| message.data.len()).sum();
        let _held = context.engine.hold(bytes)?;
        // The sockets that travel stay open until the kernel has its own references to them.
        let travellers: Vec<Vec<Arc<Socket>>> = self
            .messages
            .iter()
            .map(|message| travellers(context, &message.control))
            .collect::<Result<_>>()?;
        let count = self.messages.len();
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

/// The sockets that control messages name, in order.
pub(crate) fn travellers(
    context: &Context,
    control: &[ControlMessage<Rights>],
) -> Result<Vec<Arc<Socket>>> {
    control
        .iter()
        .filter_map(|message| match message {
            ControlMessage::Rights(rights) => Some(&rights.handles),
            _ => None,
        })
        .flatten()
        .map(|handle| {
            let socket = context.socket(Handle(*handle))?;
            socket.mark_shared();
            Ok(socket)
        })
        .collect()
}

/// A message in the kernel's form, its handles replaced by the descriptors of `sockets`.
pub(crate) fn prepare(
    message: OutgoingMessage,
    sockets: &[Arc<Socket>],
) -> Result<Outgoing<'_>, Violation> {
    let mut sockets = sockets.iter();
    let control = message
        .control
        .into_iter()
        .map(|control| {
            control.map_rights(|rights| {
                let taken = sockets.by_ref().take(rights.handles.len());
                Ok::<_, Violation>(SentRights(taken.map(|socket| socket.as_fd()).collect()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Outgoing::new(message.data, message.address.as_ref(), &control)
}
