//! What the kernel has received, and whether an empty one of it is a message or the end of the connection: recvmsg(2) returns 0 for both.

use std::{io, os::fd::AsFd as _};

use farsock_proto::{
    message::MessageFlags,
    socket::{Domain, SocketType},
};

use super::{
    Fault, Socket,
    receive::{Empty as _, ReceiveRequest},
};
use crate::sys::{
    self,
    message::{Batch, Received},
    socket::Events,
};

/// The peer sends no more.
const SHUT: Events = Events::RDHUP.and(Events::HUP);

impl Socket {
    /// Receives up to `count` messages of the kernel's queue, each with up to `control_length` bytes of control messages, and marks those
    /// that are the end. As recvmmsg(2), it returns the end `count` times.
    pub(crate) fn receive_marked(
        &self,
        count: usize,
        (request, control_length): (ReceiveRequest, usize),
    ) -> io::Result<Vec<Received>> {
        if self.has_taken_errors() && count > 0 {
            let errors: Vec<_> = std::iter::from_fn(|| self.taken_error(request, control_length))
                .take(count)
                .collect();
            if !errors.is_empty() {
                return Ok(errors);
            }
        }
        if !self.has_ambiguous_end() || count == 0 {
            let ReceiveRequest { length, flags, .. } = request;
            let inbound = self.inbound();
            let Batch {
                messages: mut received,
                error,
            } = sys::message::receive_messages(inbound, count, length, control_length, flags)?;
            for one in &mut received {
                one.is_end = self.is_end(request, one);
            }
            if let Some(error) = error {
                self.defer_received(&Fault::Kernel(error));
            }
            return Ok(received);
        }
        // One by one: of several, nobody could say later at which the peer had shut down.
        let mut received: Vec<Received> = Vec::new();
        while received.len() < count {
            match self.receive_record(request, control_length) {
                Ok(one) if one.is_end => {
                    received.resize_with(count, || Received::end(true));
                }
                Ok(one) => received.push(one),
                Err(error) if received.is_empty() => return Err(error),
                Err(error) => {
                    self.defer_received(&Fault::Kernel(error));
                    break;
                }
            }
        }
        Ok(received)
    }

    /// Receives one message or part of a stream of the kernel's queue, without control messages, and marks it if it is the end.
    pub(super) fn receive_one_marked(&self, request: ReceiveRequest) -> io::Result<Received> {
        if let Some(error) = self.taken_error(request, 0) {
            return Ok(error);
        }
        if self.has_ambiguous_end() {
            return self.receive_record(request, 0);
        }
        let ReceiveRequest {
            length,
            flags,
            address,
        } = request;
        let mut received = sys::message::receive(self.inbound(), length, flags, address)?;
        received.is_end = self.is_end(request, &received);
        Ok(received)
    }

    /// Whether its messages may be empty, and the kernel has an answer that is neither a message nor an error.
    fn has_ambiguous_end(&self) -> bool {
        self.kind().domain() == Domain::Unix && self.kind().socket_type() == SocketType::Seqpacket
    }

    /// Whether 0 is the end, of a socket whose messages are not empty.
    fn is_end(&self, request: ReceiveRequest, received: &Received) -> bool {
        if received.full_length > 0
            || request.length == 0
            || received.flags.contains(MessageFlags::ERRQUEUE)
            || request.flags.contains(MessageFlags::ERRQUEUE) && self.has_error_queue()
        {
            return false;
        }
        match self.kind().socket_type() {
            // Bytes have no empty message.
            SocketType::Stream => true,
            SocketType::Seqpacket => self.is_shut(),
            _ => false,
        }
    }

    /// Whether the peer has shut down its sending side, or this socket its receiving one.
    fn is_shut(&self) -> bool {
        sys::socket::poll_one(self.as_fd(), SHUT).is_ok_and(|ready| ready.intersects(SHUT))
    }

    /// Receives one record of a unix connection. What poll(2) says before the receive decides what an empty one is: without a shutdown
    /// what is readable is a message, and after it nothing new comes.
    fn receive_record(
        &self,
        request: ReceiveRequest,
        control_length: usize,
    ) -> io::Result<Received> {
        let ReceiveRequest { length, flags, .. } = request;
        let inbound = self.inbound();
        loop {
            let ready = sys::socket::poll_one(inbound.fd, Events::IN | SHUT)?;
            if ready.intersects(SHUT) {
                let (mut received, is_message) =
                    sys::message::receive_last(inbound, length, control_length, flags)?;
                received.is_end = !is_message && length > 0;
                return Ok(received);
            }
            // Until something is readable a peek gives the kernel's error. It takes nothing if a message comes just now.
            let peeks = !ready.contains(Events::IN);
            let (length, flags) = match peeks {
                true => (0, flags | MessageFlags::PEEK),
                false => (length, flags),
            };
            let received = match control_length {
                0 => sys::message::receive(inbound, length, flags, request.address),
                _ => sys::message::receive_messages(inbound, 1, length, control_length, flags)
                    .and_then(|mut one| one.messages.pop().ok_or_else(sys::errno::again)),
            }?;
            if !peeks {
                return Ok(received);
            }
        }
    }
}
