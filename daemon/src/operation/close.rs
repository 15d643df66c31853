//! Close: close(2).

use std::{
    fmt::{self, Write as _},
    io,
};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    socket::Ended,
    table::Handle,
};

/// Closes a socket; answers when the kernel has.
#[derive(Debug)]
pub(crate) struct Close {
    pub(crate) handle: Handle,
    /// Reset instead of an orderly end.
    pub(crate) abort: bool,
}

impl Operation for Close {
    const VERB: &'static str = "Close";
    type Output = ();

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let abort = if self.abort { ", abort" } else { "" };
        write!(call, "close({}{abort})", self.handle)
    }

    fn answer((): &()) -> Answer<'_> {
        Answer::number(0)
    }

    async fn execute(self, context: &Context) -> Result<()> {
        let call = || Call::on("close", self.handle);
        let socket = context.engine.table.remove(self.handle, context.owner)?;
        if self.abort {
            socket.reset_on_close();
        }
        // From here on the close goes on by itself, whether its caller waits for it or not.
        context
            .engine
            .close(socket, Ended::Closed)
            .await
            .map_err(io::Error::other)
            .and_then(|closed| closed)
            .map_err(|error| call().failed(error))
    }
}
