//! Listen: listen(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    sys,
    table::Handle,
};

/// Makes a socket wait for connections.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) handle: Handle,
    pub(crate) backlog: i32,
}

impl Operation for Listen {
    const VERB: &'static str = "Listen";
    type Output = ();

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "listen({}, {})", self.handle, self.backlog)
    }

    fn answer((): &()) -> Answer<'_> {
        Answer::number(0)
    }

    async fn execute(self, context: &Context) -> Result<()> {
        let socket = context.socket(self.handle)?;
        sys::socket::listen(socket.as_fd(), self.backlog).map_err(|error| {
            Call::on("listen", self.handle)
                .with(format_args!("backlog {}", self.backlog))
                .failed(error)
        })
    }
}
