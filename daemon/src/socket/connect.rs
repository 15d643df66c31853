//! Connecting: what a blocking connect(2) does, on a non-blocking descriptor.

use std::io;

use farsock_proto::address::Address;

use super::{Direction, Fault, Patience, Socket, connecting::is_under_way};
use crate::{
    engine::Engine,
    sys::{self, socket::Events},
};

impl Socket {
    /// Connects to `address`, and waits for it unless the socket is non-blocking. Ended early, it leaves the socket connecting, unless that
    /// is a unix one: see [`Socket::left_by_connect`]. Corresponds to connect(2).
    pub(crate) async fn connect(
        &self,
        engine: &Engine,
        patience: &Patience,
        address: &Address,
    ) -> Result<(), Fault> {
        let fd = self.fd_now()?;
        if address.is_unspecified() {
            return Ok(self.disconnect(fd, address)?);
        }
        let limit = self.connect_limit();
        let (begun, pending) = match self.begin_connect(fd, address) {
            (Ok(()), _) => return Ok(()),
            (Err(error), _) if !self.waits(limit) || !is_under_way(&error) => {
                return Err(error.into());
            }
            (Err(error), pending) => (error, pending),
        };

        let outcome = if begun.kind() == io::ErrorKind::WouldBlock {
            self.connect_when_there_is_room(engine, patience, address)
                .await
        } else {
            self.attempt(engine, patience, limit, Events::OUT, |fd, ready| {
                if ready == Events::EMPTY {
                    // Begun above; now only its end counts.
                    return Err(Fault::Kernel(sys::errno::again()));
                }
                match &pending {
                    Some(pending) => self.connected(fd, pending),
                    // Elsewhere a second connect(2) would begin anew or say EISCONN.
                    None => match sys::socket::take_error(fd)? {
                        Some(error) => Err(error.into()),
                        None => Ok(()),
                    },
                }
            })
            .await
        };
        match outcome {
            // SO_SNDTIMEO is over: the kernel answers as it did when it began.
            Err(fault) if fault.would_block() => Err(Fault::Kernel(begun)),
            other => other,
        }
    }

    /// A unix stream or seqpacket peer whose backlog is full says EAGAIN, and no event ever tells that there is room. A blocking caller
    /// sleeps in the kernel until there is; this one tries again and again, at most every 10 ms.
    async fn connect_when_there_is_room(
        &self,
        engine: &Engine,
        patience: &Patience,
        address: &Address,
    ) -> Result<(), Fault> {
        let _waiting = engine.begin_wait(patience).map_err(Fault::Refused)?;
        let limit = patience.end(self.timeout(Some(Direction::Send)));
        let mut round = 0;
        loop {
            round += 1;
            self.within(patience, limit, self.rest(round)).await??;
            match self.begin_connect(self.fd_now()?, address).0 {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Ok(other?),
            }
        }
    }
}
