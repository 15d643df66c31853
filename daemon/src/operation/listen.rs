//! Listen: listen(2).

use std::os::fd::AsFd;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
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

    async fn execute(self, context: &Context) -> Result<()> {
        let socket = context.socket(self.handle)?;
        sys::socket::listen(socket.as_fd(), self.backlog).map_err(|error| {
            Call::on("listen", self.handle)
                .with(format_args!("backlog {}", self.backlog))
                .failed(error)
        })
    }
}
