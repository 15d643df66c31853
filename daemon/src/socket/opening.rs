//! TCP Fast Open: a send that opens its connection, and in blocking mode ends when the handshake does.

use std::{io, os::fd::BorrowedFd, sync::Arc};

use farsock_proto::address::Address;

use super::{Fault, Socket, connecting::PendingConnect};
use crate::sys;

/// How far a send is that may open its connection.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The SYN is sent: what follows is an ordinary send on the connection.
    begun: bool,
    /// The handshake that is waited for.
    pending: Option<Arc<PendingConnect>>,
    /// How many bytes went with the SYN.
    carried: Option<usize>,
    /// MSG_FASTOPEN of MPTCP, which reports the handshake even if the SYN has carried data.
    is_mptcp: bool,
}

impl Opening {
    /// The send's answer if `fault` ends its wait: what went with the SYN counts, and without that the kernel reports the handshake, not the
    /// time limit.
    pub(super) fn cut_short(self, fault: Fault) -> Result<usize, Fault> {
        let out_of_time = fault.would_block();
        match (self.carried, self.pending, &fault) {
            (_, Some(_), _) if out_of_time && self.is_mptcp => {
                Err(Fault::Kernel(sys::errno::already()))
            }
            (None, Some(_), _) if out_of_time => Err(Fault::Kernel(sys::errno::in_progress())),
            // The connection is over.
            (_, _, Fault::Kernel(_)) if !out_of_time => Err(fault),
            (Some(carried), ..) => Ok(carried),
            _ => Err(fault),
        }
    }
}

impl Socket {
    /// Calls `send`, which may open the connection with MSG_FASTOPEN or after a deferred connect, and is told whether it is open already;
    /// EAGAIN while the handshake is under way.
    pub(super) fn send_opening(
        &self,
        fd: BorrowedFd<'_>,
        opening: &mut Opening,
        fastopen: bool,
        address: Option<&Address>,
        mut send: impl FnMut(bool) -> io::Result<usize>,
    ) -> Result<usize, Fault> {
        if opening.pending.is_some() {
            if let Some(carried) = self.await_handshake(fd, opening)? {
                return Ok(carried);
            }
        } else if !opening.begun && self.may_open(fastopen) {
            let (outcome, pending) = self.send_and_open(fd, address, || send(false));
            let Some(pending) = pending else {
                return Ok(outcome?);
            };
            opening.begun = true;
            opening.is_mptcp = fastopen && self.kind().is_mptcp();
            opening.pending = Some(pending);
            opening.carried = outcome.ok();
            if let Some(carried) = self.await_handshake(fd, opening)? {
                return Ok(carried);
            }
        }
        Ok(send(opening.begun)?)
    }

    /// Returns what went with the SYN once the handshake has succeeded; EAGAIN while it is under way.
    fn await_handshake(
        &self,
        fd: BorrowedFd<'_>,
        opening: &mut Opening,
    ) -> Result<Option<usize>, Fault> {
        if let Some(pending) = &opening.pending {
            match self.connected(fd, pending) {
                Err(fault) if fault.would_block() => return Err(fault),
                Err(fault) => {
                    // Nobody has what the SYN carried.
                    *opening = Opening::default();
                    return Err(fault);
                }
                Ok(()) => opening.pending = None,
            }
        }
        Ok(opening.carried.take())
    }
}
