//! GetOption: getsockopt(2).

use std::{
    fmt::{self, Write as _},
    os::fd::AsFd,
};

use bytes::Bytes;
use farsock_proto::{
    option::{OptionName, OptionValue},
    v1::SocketOption,
};

use super::{Context, Operation, set_option};
use crate::{
    error::Result,
    journal::{Answer, CallText},
    sys::option,
    table::Handle,
};

/// Room for an option of kind raw, if the request names none.
const DEFAULT_LENGTH: usize = 1024;

/// Reads a socket option.
#[derive(Debug)]
pub(crate) struct GetOption {
    pub(crate) handle: Handle,
    pub(crate) name: OptionName,
    pub(crate) length: Option<usize>,
}

impl Operation for GetOption {
    const VERB: &'static str = "GetOption";
    type Output = OptionValue;

    fn handle(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn room(&self) -> usize {
        1024 + self.length.unwrap_or(DEFAULT_LENGTH)
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "getsockopt({}, {})", self.handle, self.name)
    }

    fn answer(output: &OptionValue) -> Answer<'_> {
        match output {
            // Sixty fields, which `info` shows.
            OptionValue::TcpInfo(_) => Answer::number(0),
            value => Answer::number(0).with(value),
        }
    }

    async fn execute(self, context: &Context) -> Result<OptionValue> {
        let socket = context.socket(self.handle)?;
        let fd = socket.as_fd();
        if option::is_error(&self.name)
            && let Err(error) = socket.take_deferred()
            && let Some(errno) = error.raw_os_error()
        {
            return Ok(self.integer(errno));
        }
        if option::is_low_water(&self.name)
            && let Some(low_water) = socket.hidden_low_water()
        {
            return Ok(self.integer(low_water.try_into().unwrap_or(i32::MAX)));
        }
        let outcome = match self.name {
            OptionName::Named(SocketOption::ONonblock) => {
                return Ok(OptionValue::Flag(socket.is_nonblocking()));
            }
            OptionName::Named(named) => option::get(fd, set_option::row(named)?, self.length),
            OptionName::Raw { level, number } => option::get_raw(
                fd,
                (level, number),
                Some(self.length.unwrap_or(DEFAULT_LENGTH)),
                context.engine.allowed().options,
            )
            .map(OptionValue::Raw),
        };
        outcome
            .map_err(|error| set_option::failed(error, "getsockopt", &self.name, Some(self.handle)))
    }
}

impl GetOption {
    /// An int that does not come of the kernel, as an option of that name is read.
    fn integer(&self, value: i32) -> OptionValue {
        match self.name {
            OptionName::Named(_) => OptionValue::Integer(value.into()),
            OptionName::Raw { .. } => {
                let room = self.length.unwrap_or(DEFAULT_LENGTH);
                let bytes = value.to_ne_bytes();
                OptionValue::Raw(Bytes::copy_from_slice(&bytes[..room.min(bytes.len())]))
            }
        }
    }
}
