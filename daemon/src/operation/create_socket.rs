//! CreateSocket: socket(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use farsock_proto::{
    option::{OptionName, OptionValue},
    socket::{Domain, Protocol, SocketType},
};

use super::{Context, Operation, set_option};
use crate::{
    blocking,
    error::{Call, Result},
    journal::{Answer, CallText},
    sys,
    table::Handle,
};

/// Creates a socket and sets options on it, or does neither.
#[derive(Debug)]
pub(crate) struct CreateSocket {
    pub(crate) domain: Domain,
    pub(crate) kind: SocketType,
    pub(crate) protocol: Protocol,
    pub(crate) nonblocking: bool,
    pub(crate) options: Vec<(OptionName, OptionValue)>,
    /// The number that the socket shall have; 0 for the next.
    pub(crate) new_handle: u64,
}

impl Operation for CreateSocket {
    const VERB: &'static str = "CreateSocket";
    type Output = Handle;

    fn handle(&self) -> Option<Handle> {
        None
    }

    fn weight(&self) -> usize {
        let values = self
            .options
            .iter()
            .map(|(_, value)| set_option::weight(value));
        size_of_val(&*self.options) + values.sum::<usize>()
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        let flags = if self.nonblocking {
            "|SOCK_NONBLOCK"
        } else {
            ""
        };
        write!(
            call,
            "socket({}, {}{flags}, {}",
            self.domain, self.kind, self.protocol
        )?;
        for (name, value) in &self.options {
            write!(call, ", {name}={value}")?;
        }
        call.write_str(")")
    }

    fn answer(output: &Handle) -> Answer<'_> {
        Answer::handle(*output)
    }

    async fn execute(self, context: &Context) -> Result<Handle> {
        let call = || {
            Call::new("socket").with(format_args!(
                "{}, {}, {}",
                self.domain, self.kind, self.protocol
            ))
        };
        sys::socket::check_listed(self.domain, self.kind, context.engine.allowed().families)?;
        let claim = context.claim(self.new_handle)?;
        let room = context.engine.table.reserve()?;
        let (domain, kind, protocol) = (self.domain, self.kind, self.protocol);
        let slow = sys::socket::may_load_a_module(domain, kind, protocol);
        let fd = blocking::in_place(slow, || sys::socket::create(domain, kind, protocol))
            .map_err(|error| call().failed(error))?;
        let mut nonblocking = self.nonblocking;
        let mut prepare = || {
            for (at, (name, value)) in self.options.iter().enumerate() {
                let unlisted = context.engine.allowed().options;
                set_option::apply(fd.as_fd(), &mut nonblocking, name, value, (None, unlisted))
                    .map_err(|error| error.within(&format!("options[{at}]")))?;
            }
            sys::socket::kind(fd.as_fd()).map_err(|error| call().failed(error))
        };
        let kind = match prepare() {
            Ok(kind) => kind,
            Err(error) => {
                // Nothing is left half made.
                context.engine.close_descriptor(context.owner, fd);
                return Err(error);
            }
        };
        let socket = context.keep(room, claim, fd, kind, nonblocking)?;
        for (name, value) in &self.options {
            socket.option_was_set(name, value);
        }
        context.made(call, &[socket.handle()])?;
        Ok(socket.handle())
    }
}
