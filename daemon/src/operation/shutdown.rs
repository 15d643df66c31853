//! Shutdown: shutdown(2).

use std::fmt::{self, Write as _};

use farsock_proto::socket::ShutdownHow;

use super::{Context, Operation};
use crate::{
    error::{Call, Result},
    journal::{Answer, CallText},
    table::Handle,
};

/// Ends one or both directions of a connection.
#[derive(Debug)]
pub(crate) struct Shutdown {
    pub(crate) handle: Handle,
    pub(crate) how: ShutdownHow,
}

impl Operation for Shutdown {
    const VERB: &'static str = "Shutdown";
    type Output = ();

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "shutdown({}, {})", self.handle, self.how)
    }

    fn answer((): &()) -> Answer<'_> {
        Answer::number(0)
    }

    async fn execute(self, context: &Context) -> Result<()> {
        let socket = context.socket(self.handle)?;
        socket
            .shutdown(self.how)
            .map_err(|fault| fault.on(Call::on("shutdown", self.handle).with(self.how)))
    }
}
