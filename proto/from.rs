//! What callers may write where a domain type is wanted: std's types, and pairs of numbers.

use std::{net::Shutdown, time::Duration};

use bytes::Bytes;

use crate::{
    address::Address,
    option::{OptionName, OptionValue},
    socket::ShutdownHow,
    v1,
};

impl From<Shutdown> for ShutdownHow {
    fn from(how: Shutdown) -> Self {
        match how {
            Shutdown::Read => Self::Read,
            Shutdown::Write => Self::Write,
            Shutdown::Both => Self::Both,
        }
    }
}

impl From<v1::SocketOption> for OptionName {
    fn from(option: v1::SocketOption) -> Self {
        Self::Named(option)
    }
}

/// Level and number.
impl From<(i32, i32)> for OptionName {
    fn from((level, number): (i32, i32)) -> Self {
        Self::Raw { level, number }
    }
}

impl From<bool> for OptionValue {
    fn from(on: bool) -> Self {
        Self::Flag(on)
    }
}

impl From<i32> for OptionValue {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for OptionValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for OptionValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Duration> for OptionValue {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}

impl From<Address> for OptionValue {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// Text, which the daemon reads by the option's kind: of an option that takes a name it is the
/// name.
impl From<&str> for OptionValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for OptionValue {
    fn from(data: Bytes) -> Self {
        Self::Raw(data)
    }
}
