//! Datagrams: the opening of a stream of datagrams; what it then moves goes beside the operations.

use std::fmt::{self, Write as _};

use super::{Context, OpenedStream, Operation};
use crate::{
    error::Result,
    flow::{DatagramFlow, Opening, Shape},
    journal::{Answer, CallText, StreamKind},
    table::Handle,
};

/// Opens the stream of a socket's datagrams.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) handle: Handle,
    pub(crate) opening: Opening,
    pub(crate) shape: Shape,
    /// Failures of datagrams up to this offset were heard.
    pub(crate) failures_heard: u64,
}

impl Operation for Datagrams {
    const VERB: &'static str = "Datagrams";
    type Output = OpenedStream<DatagramFlow>;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let (handle, window) = (self.handle, self.opening.window);
        let Shape {
            length,
            control_length,
            errors,
        } = self.shape;
        let errors = if errors { ", MSG_ERRQUEUE" } else { "" };
        write!(
            call,
            "datagrams_open({handle}, {window}, {length}, {control_length}{errors})"
        )
    }

    fn answer(output: &Self::Output) -> Answer<'_> {
        output.answer()
    }

    async fn execute(self, context: &Context) -> Result<Self::Output> {
        let socket = context.socket(self.handle)?;
        let opened = DatagramFlow::open(context, &socket, self.opening, self.failures_heard)?;
        Ok(OpenedStream::new(
            context,
            &socket,
            StreamKind::Datagrams,
            opened,
        ))
    }
}
