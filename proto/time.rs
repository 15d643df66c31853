//! Times: durations and time stamps on the wire, and durations as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Violation, violation::quoted};

/// The longest duration of the wire, about 10,000 years, as google/protobuf/duration.proto says.
/// Below it, adding a duration to a clock's time cannot overflow.
const MAX_DURATION_SECONDS: u64 = 315_576_000_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, as google/protobuf/timestamp.proto says.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// Reads a duration of 0 to 315,576,000,000 seconds.
///
/// # Errors
/// A [`Violation`] of the value if it is negative or out of range.
pub fn duration_from_wire(wire: prost_types::Duration) -> Result<Duration, Violation> {
    if wire.seconds < 0 || (wire.seconds == 0 && wire.nanos < 0) {
        return Err(Violation::of_value("the duration must not be negative"));
    }
    let nanos = u32::try_from(wire.nanos)
        .ok()
        .filter(|&nanos| nanos < NANOS_PER_SECOND)
        .ok_or_else(|| Violation::new("nanos", "must be from 0 to 999,999,999"))?;
    let seconds = u64::try_from(wire.seconds)
        .ok()
        .filter(|&seconds| seconds <= MAX_DURATION_SECONDS)
        .ok_or_else(|| Violation::new("seconds", "must be from 0 to 315,576,000,000"))?;
    Ok(Duration::new(seconds, nanos))
}

/// A duration for the wire; a longer one than the wire takes becomes the longest one.
#[must_use]
pub fn duration_to_wire(duration: Duration) -> prost_types::Duration {
    let duration = duration.min(Duration::from_secs(MAX_DURATION_SECONDS));
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// Reads a time stamp of the years 1 to 9999.
///
/// # Errors
/// A [`Violation`] of the value if it is out of range.
pub fn timestamp_from_wire(wire: prost_types::Timestamp) -> Result<SystemTime, Violation> {
    let nanos = u32::try_from(wire.nanos)
        .ok()
        .filter(|&nanos| nanos < NANOS_PER_SECOND)
        .ok_or_else(|| Violation::new("nanos", "must be from 0 to 999,999,999"))?;
    let out_of_range = || Violation::new("seconds", "must be in the years 1 to 9999");
    if !TIMESTAMP_SECONDS.contains(&wire.seconds) {
        return Err(out_of_range());
    }
    let whole = Duration::from_secs(wire.seconds.unsigned_abs());
    if wire.seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    }
    .and_then(|time| time.checked_add(Duration::from_nanos(nanos.into())))
    .ok_or_else(out_of_range)
}

/// A time stamp for the wire; one outside of the years 1 to 9999 becomes the nearest within.
#[must_use]
pub fn timestamp_to_wire(time: SystemTime) -> prost_types::Timestamp {
    // The fraction counts forwards, before 1970 too.
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            match before.subsec_nanos() {
                0 => (-i128::from(before.as_secs()), 0),
                nanos => (-i128::from(before.as_secs()) - 1, NANOS_PER_SECOND - nanos),
            }
        }
    };
    let (first, last) = (*TIMESTAMP_SECONDS.start(), *TIMESTAMP_SECONDS.end());
    match i64::try_from(seconds) {
        Ok(seconds) if TIMESTAMP_SECONDS.contains(&seconds) => prost_types::Timestamp {
            seconds,
            nanos: i32::try_from(nanos).unwrap_or(0),
        },
        _ if seconds < 0 => prost_types::Timestamp {
            seconds: first,
            nanos: 0,
        },
        _ => prost_types::Timestamp {
            seconds: last,
            nanos: 999_999_999,
        },
    }
}

/// The units of durations in nanoseconds, from the largest.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration as people write it: a decimal number and one of the units h, m, s, ms, us and
/// ns; without a unit it is seconds. "300ms", "2.5s", "1m", "10".
///
/// # Errors
/// A [`Violation`] of the value if it is no such text, negative, finer than a nanosecond, or longer
/// than the wire takes.
pub fn parse_duration(text: &str) -> Result<Duration, Violation> {
    if text.starts_with('-') {
        return Err(Violation::of_value("the duration must not be negative"));
    }
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "" => Some(NANOS_PER_SECOND.into()),
        _ => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|unit| unit.1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (Some(unit), false, false) = (
        unit,
        whole.is_empty() && fraction.is_empty(),
        fraction.contains('.'),
    ) else {
        return Err(Violation::of_value(format!(
            "{} is no duration; write a number and a unit, as in 300ms, 2.5s or 1m; the units are \
             h, m, s, ms, us and ns",
            quoted(text)
        )));
    };
    let nanos = nanoseconds(whole, fraction, unit)?;
    let seconds = nanos / u128::from(NANOS_PER_SECOND);
    match (
        u64::try_from(seconds),
        u32::try_from(nanos % u128::from(NANOS_PER_SECOND)),
    ) {
        (Ok(seconds), Ok(nanos)) if seconds < MAX_DURATION_SECONDS => {
            Ok(Duration::new(seconds, nanos))
        }
        _ => Err(too_long()),
    }
}

/// A duration as people write it, exact and short: "2.5s", "300ms", "10us", "1m".
/// [`parse_duration`] reads it.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    // Hours and minutes whole, since "1.5h" takes more thought than "90m"; below, the largest unit
    // that is not 0.
    let (name, unit) = UNITS
        .into_iter()
        .find(|&(name, unit)| match name {
            "h" | "m" => nanos.is_multiple_of(unit),
            _ => nanos >= unit,
        })
        .unwrap_or(("ns", 1));
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return format!("{whole}{name}");
    }
    // The units with a fraction are powers of 1,000.
    let digits = match name {
        "s" => 9,
        "ms" => 6,
        _ => 3,
    };
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}

fn nanoseconds(whole: &str, fraction: &str, unit: u128) -> Result<u128, Violation> {
    let whole: u64 = match whole {
        "" => 0,
        // All digits, so that only its size can be wrong.
        _ => whole.parse().map_err(|_| too_long())?,
    };
    let fraction = fraction.trim_end_matches('0');
    let too_fine = || Violation::of_value("the duration is finer than a nanosecond");
    // The smallest fraction that is whole nanoseconds in any unit, 0.0000000000025h and the like,
    // has 13 digits at most.
    let digits = u32::try_from(fraction.len())
        .ok()
        .filter(|&digits| digits <= 13)
        .ok_or_else(too_fine)?;
    let scale = 10_u128.pow(digits);
    let fraction: u128 = match fraction {
        "" => 0,
        _ => fraction.parse().map_err(|_| too_fine())?,
    };
    let fraction = fraction * unit;
    if !fraction.is_multiple_of(scale) {
        return Err(too_fine());
    }
    Ok(u128::from(whole) * unit + fraction / scale)
}

fn too_long() -> Violation {
    Violation::of_value("the duration is too long; below 315,576,000,000 seconds is possible")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategy;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, nanos) in [
            ("300ms", 300_000_000),
            ("2.5s", 2_500_000_000),
            ("1m", 60_000_000_000),
            ("10", 10_000_000_000),
            (".5", 500_000_000),
            ("1.", 1_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("1.5h", 5_400_000_000_000),
            ("10us", 10_000),
            ("7ns", 7),
            ("0.0000000000025h", 9),
            ("1.000000000000000000000000000s", 1_000_000_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_says_how_to_write_one() {
        for text in [
            "", "s", ".", "1.2.3", "1d", "1 s", "1e3", "ms", "1S", "+1", "NaN", "1s1s",
        ] {
            let violation = parse_duration(text).expect_err(text);
            assert!(
                violation.description.contains("as in 300ms"),
                "{text}: {violation}"
            );
        }
        for (text, reason) in [
            ("-1s", "negative"),
            ("0.1ns", "finer"),
            ("1.0000000001", "finer"),
            ("0.00000000000000000001h", "finer"),
            ("99999999999999999999999s", "too long"),
            ("315576000000s", "too long"),
            ("18446744073709551615h", "too long"),
        ] {
            let violation = parse_duration(text).expect_err(text);
            assert!(
                violation.description.contains(reason),
                "{text}: {violation}"
            );
        }
    }

    #[test]
    fn durations_print_exact_and_short() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (10_000, "10us"),
            (1_001, "1.001us"),
            (300_000_000, "300ms"),
            (1_500_000, "1.5ms"),
            (2_500_000_000, "2.5s"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m"),
            (90_000_000_000, "90s"),
            (5_400_000_000_000, "90m"),
            (7_200_000_000_000, "2h"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(
            format_duration(Duration::MAX),
            "18446744073709551615.999999999s"
        );
    }

    #[test]
    fn durations_of_the_wire_that_are_negative_or_out_of_range_are_violations() {
        for (seconds, nanos, field) in [
            (-1, 0, ""),
            (0, -1, ""),
            (1, -1, "nanos"),
            (0, 1_000_000_000, "nanos"),
            (315_576_000_001, 0, "seconds"),
            (i64::MAX, i32::MAX, "nanos"),
        ] {
            let violation = duration_from_wire(prost_types::Duration { seconds, nanos })
                .expect_err("is refused");
            assert_eq!(violation.field, field);
        }
    }

    #[test]
    fn what_the_wire_cannot_hold_becomes_the_nearest_it_can() {
        assert_eq!(duration_to_wire(Duration::MAX).seconds, 315_576_000_000);
        for far in [
            Duration::from_secs(1 << 62),
            Duration::from_secs(300_000_000_000),
        ] {
            for time in [UNIX_EPOCH.checked_add(far), UNIX_EPOCH.checked_sub(far)] {
                let wire = timestamp_to_wire(time.expect("is taken"));
                assert!(timestamp_from_wire(wire).is_ok());
            }
        }
    }

    #[test]
    fn a_time_before_1970_counts_its_fraction_forwards() {
        let wire = timestamp_to_wire(UNIX_EPOCH - Duration::from_millis(1_500));
        assert_eq!((wire.seconds, wire.nanos), (-2, 500_000_000));
    }

    proptest! {
        #[test]
        fn every_duration_survives_text_and_wire(duration in strategy::duration()) {
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(duration_from_wire(duration_to_wire(duration)), Ok(duration));
        }

        #[test]
        fn every_time_survives_the_wire(time in strategy::system_time()) {
            prop_assert_eq!(timestamp_from_wire(timestamp_to_wire(time)), Ok(time));
        }

        #[test]
        fn from_wire_never_panics(seconds: i64, nanos: i32) {
            let _ = duration_from_wire(prost_types::Duration { seconds, nanos });
            let _ = timestamp_from_wire(prost_types::Timestamp { seconds, nanos });
        }

        #[test]
        fn parse_never_panics(text in "\\PC*|[0-9.]{0,40}(h|m|s|ms|us|ns)?") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            }
        }
    }
}
