//! AcceptMany: the opening of a stream of connections; each is then an accept4(2) of the flow's.

use std::fmt::{self, Write as _};

use super::{Context, OpenedStream, Operation};
use crate::{
    error::Result,
    flow::{AcceptFlow, Opening},
    journal::{Answer, CallText, StreamKind},
    table::Handle,
};

/// Opens the stream of a listening socket's connections.
#[derive(Debug)]
pub(crate) struct AcceptMany {
    pub(crate) handle: Handle,
    pub(crate) opening: Opening,
    /// Whether calls on the new sockets end in EAGAIN instead of waiting.
    pub(crate) nonblocking: bool,
}

impl Operation for AcceptMany {
    const VERB: &'static str = "AcceptMany";
    type Output = OpenedStream<AcceptFlow>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let flags = if self.nonblocking {
            "SOCK_NONBLOCK"
        } else {
            "0"
        };
        let (handle, window) = (self.handle, self.opening.window);
        write!(call, "accept_many_open({handle}, {window}, {flags})")
    }

    fn answer(output: &Self::Output) -> Answer<'_> {
        output.answer()
    }

    async fn execute(self, context: &Context) -> Result<Self::Output> {
        let socket = context.socket(self.handle)?;
        let opened = AcceptFlow::open(&socket, self.opening)?;
        Ok(OpenedStream::new(
            context,
            &socket,
            StreamKind::AcceptMany,
            opened,
        ))
    }
}
