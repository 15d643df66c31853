//! Values of options as setsockopt(2) takes them.

use std::{fmt::Display, time::Duration};

use farsock_proto::{Violation, option::OptionValue, v1};
use libc::c_long;

use super::{
    MAX_LENGTH,
    multicast::{self, Form},
    row::{Kind, Row},
    text,
};

/// A value as setsockopt(2) takes it.
pub(super) struct Encoded {
    /// The level: the row's, or for the MCAST_* options that of the group's family.
    pub(super) level: i32,
    pub(super) bytes: Vec<u8>,
}

/// Encodes `value` for the option of `row`. Text is not a value yet: see [`text::parse`].
pub(super) fn encode(row: &Row, value: &OptionValue) -> Result<Encoded, Violation> {
    let mut level = row.level;
    let bytes = match (row.kind, value) {
        (Kind::Flag, OptionValue::Flag(on)) => i32::from(*on).to_ne_bytes().to_vec(),
        (Kind::Int, OptionValue::Integer(value)) => signed(*value)?.to_ne_bytes().to_vec(),
        (Kind::Unsigned, OptionValue::Integer(value)) => unsigned(*value)?.to_ne_bytes().to_vec(),
        (Kind::Network, OptionValue::Integer(value)) => unsigned(*value)?.to_be_bytes().to_vec(),
        (Kind::Long, OptionValue::Integer(value)) => value.to_ne_bytes().to_vec(),
        (Kind::Seconds, OptionValue::Duration(time)) => units(*time, 1_000_000_000, "seconds")?,
        (Kind::Milliseconds, OptionValue::Duration(time)) => {
            units(*time, 1_000_000, "milliseconds")?
        }
        (Kind::Microseconds, OptionValue::Duration(time)) => units(*time, 1_000, "microseconds")?,
        (Kind::Timeval, OptionValue::Duration(time)) => timeval(*time)?,
        (Kind::Linger, OptionValue::Linger(time)) => linger(*time)?,
        (Kind::Name, OptionValue::Name(name)) => bounded("value.name", name.as_bytes())?,
        (Kind::Ipv4Membership, OptionValue::Membership(value)) => {
            multicast::membership(Form::Ipv4, value)?
        }
        (Kind::Ipv6Membership, OptionValue::Membership(value)) => {
            multicast::membership(Form::Ipv6, value)?
        }
        (Kind::GroupMembership, OptionValue::Membership(value)) => {
            level = multicast::level(value.group);
            multicast::membership(Form::Group, value)?
        }
        (Kind::Ipv4Source, OptionValue::SourceMembership(value)) => {
            multicast::source_membership(Form::Ipv4, value)?
        }
        (Kind::GroupSource, OptionValue::SourceMembership(value)) => {
            level = multicast::level(value.group);
            multicast::source_membership(Form::Group, value)?
        }
        (Kind::MulticastInterface, OptionValue::MulticastInterface(value)) => {
            multicast::interface(value)
        }
        (Kind::Integers, OptionValue::Integers(values)) => integers(values)?,
        (Kind::Raw | Kind::Filter, OptionValue::Raw(bytes)) => bounded("value.raw", bytes)?,
        (Kind::Address | Kind::Credentials | Kind::TcpInfo, _) => {
            return Err(Violation::new(
                "option",
                format!("{} can only be read", row.name),
            ));
        }
        (_, value) => {
            let (name, takes, is) = (row.name, member(row.kind()), member(kind_of(value)));
            return Err(Violation::new(
                "value",
                format!("{name} takes `{takes}`, not `{is}`"),
            ));
        }
    };
    Ok(Encoded { level, bytes })
}

/// Encodes `value` for an option that has no row.
pub(super) fn encode_raw(value: &OptionValue) -> Result<Vec<u8>, Violation> {
    match value {
        OptionValue::Raw(bytes) => bounded("value.raw", bytes),
        OptionValue::Flag(on) => Ok(i32::from(*on).to_ne_bytes().to_vec()),
        OptionValue::Integer(value) => {
            let bytes = int(*value).ok_or_else(|| out_of(i32::MIN, u32::MAX, *value))?;
            Ok(bytes.to_vec())
        }
        OptionValue::Text(value) => match text::hexadecimal(value) {
            Some(bytes) => bounded("value.text", &bytes),
            None => value
                .parse()
                .ok()
                .and_then(int)
                .map(Vec::from)
                .ok_or_else(|| {
                    let description = "neither an int nor \"0x\" and pairs of hexadecimal digits";
                    Violation::new("value.text", description)
                }),
        },
        value => {
            let is = member(kind_of(value));
            let description =
                format!("an option by number takes `raw`, `integer` or `flag`, not `{is}`");
            Err(Violation::new("value", description))
        }
    }
}

fn signed(value: i64) -> Result<i32, Violation> {
    i32::try_from(value).map_err(|_| out_of(i32::MIN, i32::MAX, value))
}

fn unsigned(value: i64) -> Result<u32, Violation> {
    u32::try_from(value).map_err(|_| out_of(0, u32::MAX, value))
}

fn out_of(least: i32, most: impl Display, value: i64) -> Violation {
    Violation::new("value.integer", format!("{value} is not {least} to {most}"))
}

/// An int of units of `nanos` nanoseconds.
fn units(time: Duration, nanos: u128, unit: &str) -> Result<Vec<u8>, Violation> {
    let whole = time.as_nanos() / nanos;
    let exact = time.as_nanos().is_multiple_of(nanos);
    match i32::try_from(whole) {
        Ok(whole) if exact => Ok(whole.to_ne_bytes().to_vec()),
        _ => {
            let description = format!("{time:?} is not 0-{} whole {unit}", i32::MAX);
            Err(Violation::new("value.duration", description))
        }
    }
}

fn timeval(time: Duration) -> Result<Vec<u8>, Violation> {
    let seconds = c_long::try_from(time.as_secs());
    let micros = c_long::try_from(u64::from(time.subsec_micros()));
    match (seconds, micros) {
        (Ok(seconds), Ok(micros)) if time.subsec_nanos().is_multiple_of(1_000) => {
            Ok([seconds.to_ne_bytes(), micros.to_ne_bytes()].concat())
        }
        _ => {
            let description = format!(
                "{time:?} is not whole microseconds, up to {} s",
                c_long::MAX
            );
            Err(Violation::new("value.duration", description))
        }
    }
}

fn linger(time: Option<Duration>) -> Result<Vec<u8>, Violation> {
    let seconds = match time {
        None => Ok(0),
        Some(time) if time.subsec_nanos() == 0 => i32::try_from(time.as_secs()).map_err(|_| time),
        Some(time) => Err(time),
    };
    let seconds = seconds.map_err(|time| {
        let description = format!("{time:?} is not 0-{} whole seconds", i32::MAX);
        Violation::new("value.linger.duration", description)
    })?;
    // struct linger: l_onoff, l_linger.
    Ok([
        i32::from(time.is_some()).to_ne_bytes(),
        seconds.to_ne_bytes(),
    ]
    .concat())
}

/// Unsigned ints, or ints: the same four bytes.
fn integers(values: &[i64]) -> Result<Vec<u8>, Violation> {
    if values.len() > MAX_LENGTH / 4 {
        let description = format!("{} are more than {}", values.len(), MAX_LENGTH / 4);
        return Err(Violation::new("value.integers.values", description));
    }
    let mut bytes = Vec::with_capacity(values.len() * 4);
    for &value in values {
        bytes.extend(int(value).ok_or_else(|| {
            let description = format!("{value} is not {} to {}", i32::MIN, u32::MAX);
            Violation::new("value.integers.values", description)
        })?);
    }
    Ok(bytes)
}

/// An int, or an unsigned one: the same four bytes.
fn int(value: i64) -> Option<[u8; 4]> {
    let bytes = i32::try_from(value).map(i32::to_ne_bytes);
    bytes
        .or_else(|_| u32::try_from(value).map(u32::to_ne_bytes))
        .ok()
}

fn bounded(field: &str, bytes: &[u8]) -> Result<Vec<u8>, Violation> {
    if bytes.len() > MAX_LENGTH {
        let description = format!("{} bytes are more than {MAX_LENGTH}", bytes.len());
        return Err(Violation::new(field, description));
    }
    Ok(bytes.to_vec())
}

/// The name of OptionValue's member that holds values of a kind.
pub(super) fn member(kind: v1::OptionKind) -> &'static str {
    match kind {
        // The only value without a kind is text.
        v1::OptionKind::Unspecified => "text",
        v1::OptionKind::Flag => "flag",
        v1::OptionKind::Integer => "integer",
        v1::OptionKind::Duration => "duration",
        v1::OptionKind::Linger => "linger",
        v1::OptionKind::Name => "name",
        v1::OptionKind::Address => "address",
        v1::OptionKind::Membership => "membership",
        v1::OptionKind::SourceMembership => "source_membership",
        v1::OptionKind::MulticastInterface => "multicast_interface",
        v1::OptionKind::Credentials => "credentials",
        v1::OptionKind::TcpInfo => "tcp_info",
        v1::OptionKind::Integers => "integers",
        v1::OptionKind::Raw => "raw",
    }
}

fn kind_of(value: &OptionValue) -> v1::OptionKind {
    match value {
        OptionValue::Flag(_) => v1::OptionKind::Flag,
        OptionValue::Integer(_) => v1::OptionKind::Integer,
        OptionValue::Duration(_) => v1::OptionKind::Duration,
        OptionValue::Linger(_) => v1::OptionKind::Linger,
        OptionValue::Name(_) => v1::OptionKind::Name,
        OptionValue::Address(_) => v1::OptionKind::Address,
        OptionValue::Membership(_) => v1::OptionKind::Membership,
        OptionValue::SourceMembership(_) => v1::OptionKind::SourceMembership,
        OptionValue::MulticastInterface(_) => v1::OptionKind::MulticastInterface,
        OptionValue::Credentials(_) => v1::OptionKind::Credentials,
        OptionValue::TcpInfo(_) => v1::OptionKind::TcpInfo,
        OptionValue::Integers(_) => v1::OptionKind::Integers,
        OptionValue::Raw(_) => v1::OptionKind::Raw,
        OptionValue::Text(_) => v1::OptionKind::Unspecified,
    }
}
