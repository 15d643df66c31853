//! ListSockets: the caller's sockets, a page at a time.

use super::{Context, Operation, get_socket};
use std::fmt::{self, Write as _};

use crate::{
    error::Result,
    journal::{Answer, CallText},
    operation::SocketReport,
    table::Handle,
};

/// Lists the caller's sockets by handle, upwards.
#[derive(Debug)]
pub(crate) struct ListSockets {
    /// Only handles above this one.
    pub(crate) after: Handle,
    pub(crate) count: usize,
}

/// A page of sockets.
#[derive(Debug)]
pub(crate) struct SocketPage {
    pub(crate) sockets: Vec<SocketReport>,
    /// The last handle of this page, if there are more.
    pub(crate) next: Option<Handle>,
}

impl Operation for ListSockets {
    const VERB: &'static str = "ListSockets";
    type Output = SocketPage;

    fn handle(&self) -> Option<Handle> {
        None
    }

    fn room(&self) -> usize {
        1024 + 1024 * self.count
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "listsockets({}, {})", self.after, self.count)
    }

    fn answer(output: &SocketPage) -> Answer<'_> {
        Answer::number(output.sockets.len())
    }

    async fn execute(self, context: &Context) -> Result<SocketPage> {
        let (sockets, more) = context
            .engine
            .table
            .page(context.owner, self.after, self.count);
        let next = sockets.last().filter(|_| more).map(|last| last.handle());
        Ok(SocketPage {
            sockets: sockets.iter().map(get_socket::report).collect(),
            next,
        })
    }
}
