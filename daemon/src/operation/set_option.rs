//! SetOption: setsockopt(2).

use std::{
    fmt::{self, Write as _},
    os::fd::{AsFd, BorrowedFd},
};

use farsock_proto::{
    Violation,
    option::{OptionName, OptionValue},
    v1::SocketOption,
};

use super::{Context, Operation};
use crate::{
    blocking,
    error::{Call, Error, Result},
    journal::{Answer, CallText},
    sys::option::{self, OptionError, Unlisted},
    table::Handle,
};

/// Sets a socket option.
#[derive(Debug)]
pub(crate) struct SetOption {
    pub(crate) handle: Handle,
    pub(crate) name: OptionName,
    pub(crate) value: OptionValue,
}

impl Operation for SetOption {
    const VERB: &'static str = "SetOption";
    type Output = ();

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn weight(&self) -> usize {
        weight(&self.value)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(
            call,
            "setsockopt({}, {}, {})",
            self.handle, self.name, self.value
        )
    }

    fn answer((): &()) -> Answer<'_> {
        Answer::number(0)
    }

    async fn execute(self, context: &Context) -> Result<()> {
        let socket = context.socket(self.handle)?;
        let mut nonblocking = socket.is_nonblocking();
        apply(
            socket.as_fd(),
            &mut nonblocking,
            &self.name,
            &self.value,
            (Some(self.handle), context.engine.allowed().options),
        )?;
        if matches!(self.name, OptionName::Named(SocketOption::ONonblock)) {
            socket.set_nonblocking(nonblocking);
        } else {
            socket.option_was_set(&self.name, &self.value);
        }
        Ok(())
    }
}

/// Sets one option on a descriptor, which has a handle already or not yet. O_NONBLOCK is the handle's own: the descriptor is
/// always non-blocking.
pub(super) fn apply(
    fd: BorrowedFd<'_>,
    nonblocking: &mut bool,
    name: &OptionName,
    value: &OptionValue,
    (handle, unlisted): (Option<Handle>, Unlisted),
) -> Result<()> {
    let outcome = match name {
        OptionName::Named(SocketOption::ONonblock) => {
            *nonblocking = option::flag(row(SocketOption::ONonblock)?, value)?;
            return Ok(());
        }
        OptionName::Named(named) => {
            let row = row(*named)?;
            blocking::in_place(row.is_slow(), || option::set(fd, row, value))
        }
        OptionName::Raw { level, number } => {
            let slow = option::is_slow(*level, *number);
            blocking::in_place(slow, || {
                option::set_raw(fd, (*level, *number), value, unlisted)
            })
        }
    };
    outcome.map_err(|error| failed(error, "setsockopt", name, handle))
}

/// The table's row of a named option.
pub(super) fn row(option: SocketOption) -> Result<&'static option::Row> {
    option::find(option).ok_or_else(|| {
        Violation::new("option", "SOCKET_OPTION_UNSPECIFIED is not an option").into()
    })
}

/// The error of setsockopt(2) or getsockopt(2).
pub(super) fn failed(
    error: OptionError,
    syscall: &'static str,
    name: &OptionName,
    handle: Option<Handle>,
) -> Error {
    match error {
        OptionError::Invalid(violation) => Error::Invalid(violation),
        OptionError::Kernel(source) => Call {
            handle,
            ..Call::new(syscall)
        }
        .with(name)
        .failed(source),
    }
}

/// How many bytes a value keeps in memory beside itself.
pub(super) fn weight(value: &OptionValue) -> usize {
    match value {
        OptionValue::Raw(data) => data.len(),
        OptionValue::Name(text) | OptionValue::Text(text) => text.len(),
        OptionValue::Integers(integers) => size_of_val(&**integers),
        _ => 0,
    }
}
