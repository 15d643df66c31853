//! SO_RCVTIMEO and SO_SNDTIMEO: what the kernel does with a negative one, and does not tell again.

use std::ffi::c_long;

use farsock_proto::option::{OptionName, OptionValue};

use super::{encode, uapi};

/// A socket's own time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// SO_RCVTIMEO.
    Receive,
    /// SO_SNDTIMEO.
    Send,
}

/// Which limit the option sets, if it sets one, and whether `value` is negative. The kernel keeps such a limit as "do not wait", and reads
/// it back as 0, which is none: whoever set it has to remember. Only the bytes of a raw option can be negative.
pub(crate) fn time_limit(name: &OptionName, value: &OptionValue) -> Option<(TimeLimit, bool)> {
    let (level, number) = match name {
        OptionName::Raw { level, number } => (*level, *number),
        OptionName::Named(named) => {
            let row = super::find(*named)?;
            (row.level, row.number)
        }
    };
    if level != uapi::SOL_SOCKET {
        return None;
    }
    let limit = match number {
        uapi::SO_RCVTIMEO | uapi::SO_RCVTIMEO_NEW => TimeLimit::Receive,
        uapi::SO_SNDTIMEO | uapi::SO_SNDTIMEO_NEW => TimeLimit::Send,
        _ => return None,
    };
    let wide = matches!(number, uapi::SO_RCVTIMEO_NEW | uapi::SO_SNDTIMEO_NEW);
    let negative = matches!(name, OptionName::Raw { .. })
        && encode::encode_raw(value).is_ok_and(|bytes| is_negative(&bytes, wide));
    Some((limit, negative))
}

/// Whether a struct timeval's seconds are negative: a long, or 64 bits in the newer options.
fn is_negative(bytes: &[u8], wide: bool) -> bool {
    if wide {
        return bytes
            .first_chunk()
            .is_some_and(|head| i64::from_ne_bytes(*head) < 0);
    }
    bytes
        .first_chunk()
        .is_some_and(|head| c_long::from_ne_bytes(*head) < 0)
}

#[cfg(test)]
mod tests {
    use farsock_proto::v1::SocketOption;

    use super::*;

    const SO_RCVTIMEO: OptionName = raw(uapi::SO_RCVTIMEO);

    const fn raw(number: i32) -> OptionName {
        OptionName::Raw {
            level: uapi::SOL_SOCKET,
            number,
        }
    }

    fn bytes(seconds: i64) -> OptionValue {
        OptionValue::Raw([seconds.to_ne_bytes(), [0; 8]].concat().into())
    }

    #[test]
    fn bytes_with_negative_seconds_are_a_limit_that_does_not_wait() {
        let of = |name: &OptionName, seconds| time_limit(name, &bytes(seconds));
        assert_eq!(of(&SO_RCVTIMEO, -1), Some((TimeLimit::Receive, true)));
        assert_eq!(of(&SO_RCVTIMEO, 1), Some((TimeLimit::Receive, false)));
        assert_eq!(of(&SO_RCVTIMEO, 0), Some((TimeLimit::Receive, false)));
        let newer = raw(uapi::SO_SNDTIMEO_NEW);
        assert_eq!(of(&newer, i64::MIN), Some((TimeLimit::Send, true)));
    }

    #[test]
    fn a_named_limit_takes_the_negative_one_away() {
        let name = OptionName::Named(SocketOption::SoSndtimeo);
        let value = OptionValue::Duration(std::time::Duration::ZERO);
        assert_eq!(time_limit(&name, &value), Some((TimeLimit::Send, false)));
    }

    #[test]
    fn other_options_are_no_limits() {
        let keepalive = OptionName::Named(SocketOption::SoKeepalive);
        assert_eq!(time_limit(&keepalive, &OptionValue::Flag(true)), None);
        let elsewhere = OptionName::Raw {
            level: uapi::SOL_TCP,
            number: uapi::SO_RCVTIMEO,
        };
        assert_eq!(time_limit(&elsewhere, &bytes(-1)), None);
    }
}
