//! A receive that takes a stream in parts, where a blocking one takes it in one call: what ends it, and its control messages.

use std::{
    io, mem,
    os::fd::{AsFd as _, BorrowedFd},
};

use farsock_proto::{
    message::{ControlMessage, Credentials, MessageFlags},
    socket::Domain,
};

use super::{
    Socket,
    receive::{Empty as _, ReceiveRequest},
};
use crate::sys::{
    self,
    message::{Received, ReceivedRights},
};

impl Socket {
    /// Whether nothing more is put to a part of a stream: sockets come with the last byte of a receive, whether there is room for them or
    /// not. Without room CTRUNC tells of them, or of credentials, which end nothing.
    pub(super) fn ends_with(&self, part: &Received) -> bool {
        let sockets = |control: &ControlMessage<_>| matches!(control, ControlMessage::Rights(_));
        self.kind().domain() == Domain::Unix
            && (part.control.iter().any(sockets)
                || part.flags.contains(MessageFlags::CTRUNC)
                    && !sys::socket::passes_credentials(self.as_fd()))
    }

    /// Whether what comes next may be put to `whole`: a unix socket that tells who wrote the bytes puts no two writers' together.
    pub(super) fn is_of_same_writer(
        &self,
        fd: BorrowedFd<'_>,
        (request, control_length): (ReceiveRequest, usize),
        whole: &Received,
    ) -> io::Result<bool> {
        let writer = credentials(&whole.control);
        if writer.is_none() {
            return Ok(true);
        }
        let peek = ReceiveRequest {
            flags: request.flags | MessageFlags::PEEK,
            ..request
        };
        let next = self.receive_part(fd, (peek, control_length))?;
        Ok(next.full_length == 0 || credentials(&next.control) == writer)
    }

    /// Puts the control messages of a stream's next part to those before. A unix socket tells the writer once; TCP tells of the last part.
    pub(super) fn put_together(
        &self,
        control: &mut Vec<ControlMessage<ReceivedRights>>,
        more: Vec<ControlMessage<ReceivedRights>>,
    ) {
        if self.kind().domain() != Domain::Unix {
            *control = more;
            return;
        }
        for one in more {
            let kind = mem::discriminant(&one);
            if control.iter().all(|told| mem::discriminant(told) != kind) {
                control.push(one);
            }
        }
    }

    /// Receives part of a stream, or a message, with up to `control_length` bytes of control messages: what is kept comes first.
    pub(super) fn receive_part(
        &self,
        fd: BorrowedFd<'_>,
        asked: (ReceiveRequest, usize),
    ) -> io::Result<Received> {
        match self.receive_kept(fd, asked)? {
            Some(kept) => Ok(kept),
            None => self.receive_of_kernel(asked),
        }
    }

    /// The same, of what the kernel has.
    pub(super) fn receive_of_kernel(
        &self,
        (request, control_length): (ReceiveRequest, usize),
    ) -> io::Result<Received> {
        let mut received = if control_length == 0 {
            self.receive_one_marked(request)?
        } else {
            let parts = self.receive_marked(1, (request, control_length))?;
            parts
                .into_iter()
                .next()
                .unwrap_or_else(|| Received::end(false))
        };
        self.place_received(request.flags, std::slice::from_mut(&mut received));
        Ok(received)
    }
}

/// Who wrote, if the kernel tells.
pub(super) fn credentials(control: &[ControlMessage<ReceivedRights>]) -> Option<Credentials> {
    control.iter().find_map(|control| match control {
        ControlMessage::Credentials(credentials) => Some(*credentials),
        _ => None,
    })
}
