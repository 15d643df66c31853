//! Whether a value by name says what the kernel's bytes say.

use std::time::Duration;

use farsock_client::OptionValue;

/// Options in network byte order.
pub(super) const NETWORK_ORDER: [&str; 2] = ["IP_UNICAST_IF", "IPV6_UNICAST_IF"];

/// The unit of a duration that the kernel keeps in an int; `None` for a struct timeval.
pub(super) fn unit(name: &str) -> Option<Duration> {
    match name {
        "TCP_KEEPIDLE" | "TCP_KEEPINTVL" | "TCP_DEFER_ACCEPT" => Some(Duration::from_secs(1)),
        "TCP_USER_TIMEOUT" | "TCP_RTO_MAX_MS" => Some(Duration::from_millis(1)),
        "SO_BUSY_POLL" | "TCP_TX_DELAY" | "TCP_RTO_MIN_US" | "TCP_DELACK_MAX_US" => {
            Some(Duration::from_micros(1))
        }
        _ => None,
    }
}

/// Whether `value` is what `bytes` are, for the option of that name.
pub(super) fn agrees(name: &str, value: &OptionValue, bytes: &[u8]) -> bool {
    match value {
        OptionValue::Flag(flag) => integer(bytes).is_some_and(|number| (number != 0) == *flag),
        OptionValue::Integer(number) if NETWORK_ORDER.contains(&name) => {
            let swapped = integer(bytes).map(|number| i64::from(low(number).swap_bytes()));
            swapped == Some(*number)
        }
        // Whether an int is unsigned only its documentation says.
        OptionValue::Integer(number) => integer(bytes).is_some_and(|signed| {
            signed == *number || (bytes.len() == 4 && i64::from(low(signed)) == *number)
        }),
        OptionValue::Duration(duration) => match unit(name) {
            Some(unit) => {
                let count = integer(bytes).and_then(|count| u32::try_from(count).ok());
                count.is_some_and(|count| unit * count == *duration)
            }
            None => *bytes == timeval(*duration),
        },
        OptionValue::Linger(linger) => match linger {
            Some(duration) => *bytes == self::linger(1, *duration),
            None => bytes.len() == 8 && bytes[..4] == [0; 4],
        },
        OptionValue::Name(text) => {
            let end = bytes.iter().position(|byte| *byte == 0);
            bytes[..end.unwrap_or(bytes.len())] == *text.as_bytes()
        }
        OptionValue::Credentials(own) => {
            let fields = [
                own.pid.to_ne_bytes(),
                own.uid.to_ne_bytes(),
                own.gid.to_ne_bytes(),
            ];
            *bytes == fields.concat()
        }
        OptionValue::Integers(values) => {
            let parts = bytes.chunks(4).map(integer);
            parts.eq(values
                .iter()
                .map(|value| Some(i64::from(low(*value).cast_signed()))))
        }
        OptionValue::MulticastInterface(interface) => match bytes.len() {
            4 => *bytes == interface.address.octets(),
            _ => bytes.ends_with(&interface.index.to_ne_bytes()),
        },
        // tcpi_state, tcpi_ca_state; tcpi_rto is the third int.
        OptionValue::TcpInfo(info) => {
            bytes.len() > 100
                && u64::from(bytes[0]) == u64::try_from(info.state).unwrap_or(u64::MAX)
        }
        OptionValue::Raw(raw) => raw == bytes,
        other => panic!("{name} was read as {other:?}"),
    }
}

/// struct timeval.
pub(super) fn timeval(duration: Duration) -> Vec<u8> {
    let seconds = i64::try_from(duration.as_secs()).expect("cases have short times");
    let micros = i64::from(duration.subsec_micros());
    [seconds.to_ne_bytes(), micros.to_ne_bytes()].concat()
}

/// struct linger.
pub(super) fn linger(on: i32, duration: Duration) -> Vec<u8> {
    let seconds = i32::try_from(duration.as_secs()).expect("cases have short times");
    [on.to_ne_bytes(), seconds.to_ne_bytes()].concat()
}

fn integer(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        1 => bytes[0].into(),
        4 => i32::from_ne_bytes(*bytes.first_chunk()?).into(),
        8 => i64::from_ne_bytes(*bytes.first_chunk()?),
        _ => return None,
    })
}

/// The low half.
fn low(number: i64) -> u32 {
    let bytes = number.to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
