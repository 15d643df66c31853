//! SendMessages: sendmsg(2) and sendmmsg(2).

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags, Rights},
};

use super::{Context, Operation};
use crate::{
    error::{Call, Error, Result},
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
#[derive(Debug)]
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
                prepare(message, sockets).map_err(|error| error.within(&format!("messages[{at}]")))
            })
            .collect::<Result<_>>()?;
        socket
            .send_messages(&context.engine, &patience, &mut messages, self.flags)
            .await
            .map_err(|fault| {
                fault.on(Call::on("sendmmsg", self.handle).with(format_args!("{count} messages")))
            })
    }
}

/// The sockets that control messages name, in order.
fn travellers(context: &Context, control: &[ControlMessage<Rights>]) -> Result<Vec<Arc<Socket>>> {
    control
        .iter()
        .filter_map(|message| match message {
            ControlMessage::Rights(rights) => Some(&rights.handles),
            _ => None,
        })
        .flatten()
        .map(|handle| context.socket(Handle(*handle)))
        .collect()
}

/// A message in the kernel's form, its handles replaced by the descriptors of `sockets`.
fn prepare(message: OutgoingMessage, sockets: &[Arc<Socket>]) -> Result<Outgoing<'_>> {
    let mut sockets = sockets.iter();
    let control = message
        .control
        .into_iter()
        .map(|control| {
            control.map_rights(|rights| {
                let taken = sockets.by_ref().take(rights.handles.len());
                Ok::<_, Error>(SentRights(taken.map(|socket| socket.as_fd()).collect()))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Outgoing::new(
        message.data,
        message.address.as_ref(),
        &control,
    )?)
}
