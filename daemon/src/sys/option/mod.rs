//! Socket options: the table, and setsockopt(2) and getsockopt(2) by it.

mod allowed;
mod call;
mod decode;
mod encode;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod multicast;
mod refused;
mod row;
mod support;
mod table;
mod tcp_info;
#[cfg(test)]
mod tests;
mod text;
mod time_limit;
mod uapi;

use std::{borrow::Cow, io, os::fd::BorrowedFd};

use bytes::Bytes;
use farsock_proto::{
    Violation,
    option::{OptionName, OptionValue},
    v1::SocketOption,
};

pub(crate) use allowed::Unlisted;
pub(crate) use row::{Row, all, find};
pub(crate) use support::supported;
pub(crate) use time_limit::{TimeLimit, time_limit};

use call::Filter;
use row::Kind;

/// The largest value that can be set or read, in bytes.
pub(crate) const MAX_LENGTH: usize = 65_536;

/// Room for a value of kind raw when the caller names no length, in bytes.
const DEFAULT_LENGTH: usize = 1_024;

/// Why an option was not set or read. A violation's field is a path of SetOptionRequest, GetOptionRequest or OptionSetting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionError {
    /// The request makes no value for the kernel, or is refused before it.
    #[error(transparent)]
    Invalid(#[from] Violation),
    /// The kernel's answer.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

/// Sets a named option. Corresponds to setsockopt(2), which is asked even where the table says that it would not.
///
/// # Errors
/// The kernel's; a violation if `value` is of another kind, out of range or unreadable text, or if setting is refused.
pub(crate) fn set(fd: BorrowedFd<'_>, row: &Row, value: &OptionValue) -> Result<(), OptionError> {
    refused::check_set(row.level, row.number)
        .map_err(|reason| Violation::new("option", format!("{}: {reason}", row.name)))?;
    let (value, text) = match value {
        OptionValue::Text(text) => (Cow::Owned(text::parse(row, text)?), true),
        value => (Cow::Borrowed(value), false),
    };
    let encoded = encode::encode(row, &value).map_err(|violation| match text {
        true => Violation::new("value.text", violation.description),
        false => violation,
    })?;
    match row.kind {
        Kind::Filter => attach(fd, row.level, row.number, &encoded.bytes),
        _ => Ok(call::setsockopt(
            fd,
            encoded.level,
            row.number,
            encoded.bytes,
        )?),
    }
}

/// The value of an option of kind flag that is not the kernel's to keep: O_NONBLOCK.
///
/// # Errors
/// A violation if `value` is of another kind or unreadable text.
pub(crate) fn flag(row: &Row, value: &OptionValue) -> Result<bool, Violation> {
    let parsed = match value {
        OptionValue::Text(text) => text::parse(row, text)?,
        value => value.clone(),
    };
    encode::encode(row, &parsed)?;
    Ok(parsed == OptionValue::Flag(true))
}

/// Reads a named option. Corresponds to getsockopt(2), which is asked even where the table says that it would not.
///
/// `length` is the room for a value of kind raw in bytes, 0-65,536, by default 1,024; for other kinds it means nothing.
///
/// # Errors
/// The kernel's; a violation if `length` is out of range, or if what the kernel answered is not of the option's kind.
pub(crate) fn get(
    fd: BorrowedFd<'_>,
    row: &Row,
    length: Option<usize>,
) -> Result<OptionValue, OptionError> {
    refused::check_get(row.level, row.number)
        .map_err(|reason| Violation::new("option", format!("{}: {reason}", row.name)))?;
    let bytes = match row.kind {
        Kind::Filter => read(fd, row.level, row.number, checked(length, MAX_LENGTH)?)?,
        Kind::Raw => read(fd, row.level, row.number, checked(length, DEFAULT_LENGTH)?)?,
        kind => read(fd, row.level, row.number, decode::room(kind))?,
    };
    decode::decode(row.kind, bytes).ok_or_else(|| {
        let description = format!("{} cannot be read as what it is set to", row.name);
        Violation::new("option", description).into()
    })
}

/// Sets an option by level and number. `value` is raw bytes, or a flag or integer for an int; text is bytes in hexadecimal after
/// "0x", or an int. For the options that attach a classic BPF filter the bytes are its instructions.
///
/// # Errors
/// The kernel's; a violation if `value` is of another kind or out of range, or if the option is refused.
pub(crate) fn set_raw(
    fd: BorrowedFd<'_>,
    (level, number): (i32, i32),
    value: &OptionValue,
    unlisted: Unlisted,
) -> Result<(), OptionError> {
    refused::check_set(level, number).map_err(|reason| Violation::new("raw_option", reason))?;
    allowed::check(level, number, unlisted)
        .map_err(|reason| Violation::new("raw_option", reason))?;
    let bytes = encode::encode_raw(value)?;
    if call::takes_filter(level, number) {
        return attach(fd, level, number, &bytes);
    }
    Ok(call::setsockopt(fd, level, number, bytes)?)
}

/// Whether setting the option may take its time: because it loads a module (TCP_CONGESTION, TCP_ULP), compiles a filter, takes the lock under
/// which interfaces are changed (memberships), or waits until no processor can be within the socket any more (AF_PACKET).
pub(crate) fn is_slow(level: i32, number: i32) -> bool {
    match level {
        uapi::SOL_SOCKET => matches!(
            number,
            uapi::SO_ATTACH_FILTER | uapi::SO_ATTACH_REUSEPORT_CBPF
        ),
        uapi::SOL_TCP => matches!(number, uapi::TCP_CONGESTION | uapi::TCP_ULP),
        // IP_ADD_MEMBERSHIP to MCAST_MSFILTER, and IP_XFRM_POLICY.
        uapi::SOL_IP => matches!(number, 35..=48 | uapi::IP_XFRM_POLICY),
        // IPV6_ADD_MEMBERSHIP to IPV6_LEAVE_ANYCAST, MCAST_JOIN_GROUP to MCAST_MSFILTER, and IPV6_XFRM_POLICY.
        uapi::SOL_IPV6 => matches!(number, 20 | 21 | 27 | 28 | 42..=48 | uapi::IPV6_XFRM_POLICY),
        uapi::SOL_PACKET => true,
        _ => false,
    }
}

/// Whether it is SO_ERROR.
pub(crate) fn is_error(name: &OptionName) -> bool {
    match name {
        OptionName::Named(option) => *option == SocketOption::SoError,
        OptionName::Raw { level, number } => {
            (*level, *number) == (uapi::SOL_SOCKET, uapi::SO_ERROR)
        }
    }
}

/// Whether it is SO_RCVLOWAT.
pub(crate) fn is_low_water(name: &OptionName) -> bool {
    match name {
        OptionName::Named(option) => *option == SocketOption::SoRcvlowat,
        OptionName::Raw { level, number } => {
            (*level, *number) == (uapi::SOL_SOCKET, uapi::SO_RCVLOWAT)
        }
    }
}

/// Reads an option by level and number; `length` is the room for it in bytes, 0-65,536, by default 1,024.
///
/// # Errors
/// The kernel's; a violation if `length` is out of range, or if the option is refused.
pub(crate) fn get_raw(
    fd: BorrowedFd<'_>,
    (level, number): (i32, i32),
    length: Option<usize>,
    unlisted: Unlisted,
) -> Result<Bytes, OptionError> {
    refused::check_get(level, number).map_err(|reason| Violation::new("raw_option", reason))?;
    allowed::check(level, number, unlisted)
        .map_err(|reason| Violation::new("raw_option", reason))?;
    Ok(read(fd, level, number, checked(length, DEFAULT_LENGTH)?)?.into())
}

fn checked(length: Option<usize>, default: usize) -> Result<usize, Violation> {
    match length.unwrap_or(default) {
        length @ 0..=MAX_LENGTH => Ok(length),
        length => Err(Violation::new(
            "length",
            format!("{length} is not 0-{MAX_LENGTH}"),
        )),
    }
}

fn read(fd: BorrowedFd<'_>, level: i32, number: i32, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let length = call::getsockopt(fd, level, number, &mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn attach(fd: BorrowedFd<'_>, level: i32, number: i32, bytes: &[u8]) -> Result<(), OptionError> {
    let filter = Filter::new(bytes).ok_or_else(|| {
        let description = format!("{} bytes are not instructions of 8 bytes each", bytes.len());
        Violation::new("value.raw", description)
    })?;
    Ok(call::attach_filter(fd, level, number, filter)?)
}
