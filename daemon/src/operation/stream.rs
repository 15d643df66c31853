//! Stream: the opening of a stream of bytes; what it then moves goes beside the operations.

use std::fmt::{self, Write as _};

use super::{Context, OpenedStream, Operation};
use crate::{
    error::Result,
    flow::{ByteFlow, Opening},
    journal::{Answer, CallText, StreamKind},
    table::Handle,
};

/// Opens the stream of a connection's bytes.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) handle: Handle,
    pub(crate) opening: Opening,
}

impl Operation for Stream {
    const VERB: &'static str = "Stream";
    type Output = OpenedStream<ByteFlow>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(
            call,
            "stream_open({}, {})",
            self.handle, self.opening.window
        )
    }

    fn answer(output: &Self::Output) -> Answer<'_> {
        output.answer()
    }

    async fn execute(self, context: &Context) -> Result<Self::Output> {
        let socket = context.socket(self.handle)?;
        let opened = ByteFlow::open(&socket, self.opening)?;
        Ok(OpenedStream::new(
            context,
            &socket,
            StreamKind::Stream,
            opened,
        ))
    }
}
