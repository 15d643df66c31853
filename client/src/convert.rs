//! Small conversions between std's types and protobuf's, and the checks of what the daemon answered.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use farsock_proto::{Violation, address::Address, message::MessageFlags, v1};

/// The longest time that google.protobuf.Duration may hold, about 10,000 years.
const LONGEST: Duration = Duration::from_secs(315_576_000_000);

/// A time as the wire has it; what is longer than it can say is as good as without end.
pub(crate) fn wire_duration(duration: Duration) -> prost_types::Duration {
    let duration = duration.min(LONGEST);
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// The time that the wire says; a negative one is none.
pub(crate) fn std_duration(duration: &prost_types::Duration) -> Duration {
    Duration::try_from(*duration).unwrap_or(Duration::ZERO)
}

/// A moment that the daemon told.
pub(crate) fn time(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<SystemTime, Violation> {
    let timestamp = timestamp.ok_or_else(|| absent(field))?;
    SystemTime::try_from(timestamp)
        .map_err(|error| Violation::new(field, format!("not a moment that this host knows: {error}")))
}

/// A span that the daemon told.
pub(crate) fn span(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Duration, Violation> {
    let duration = duration.ok_or_else(|| absent(field))?;
    Duration::try_from(duration)
        .map_err(|error| Violation::new(field, format!("not a span of time: {error}")))
}

/// An address that the daemon must tell.
pub(crate) fn address(field: &str, address: Option<v1::Address>) -> Result<Address, Violation> {
    optional_address(field, address)?.ok_or_else(|| absent(field))
}

/// An address that the daemon may tell.
pub(crate) fn optional_address(
    field: &str,
    address: Option<v1::Address>,
) -> Result<Option<Address>, Violation> {
    address
        .map(|address| Address::from_wire(address, &|_| None))
        .transpose()
        .map_err(|violation| violation.within(field))
}

/// A numeric IP address that the daemon told.
pub(crate) fn ip(field: &str, text: &str) -> Result<IpAddr, Violation> {
    text.parse()
        .map_err(|_| Violation::new(field, format!("{text:?} is not an IP address")))
}

/// A number that must fit where it goes.
pub(crate) fn number<T, N: TryInto<T>>(field: &str, number: N) -> Result<T, Violation> {
    number
        .try_into()
        .map_err(|_| Violation::new(field, "the number is too large"))
}

/// What a length is on the wire. Longer ones than it can say are beyond every daemon's limit just as well.
pub(crate) fn wire_length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn absent(field: &str) -> Violation {
    Violation::new(field, "absent")
}
