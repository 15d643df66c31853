//! MSG_* flags: a set of names, and further ones by number.

use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

use crate::{Violation, v1};

/// A set of MSG_* flags: those with a name, and further ones by number.
///
/// The two are apart, since only the daemon's host knows the numbers: [`MessageFlags::contains`]
/// does not find [`MessageFlags::PEEK`] in a number that has MSG_PEEK's bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags {
    /// One bit per [`v1::MessageFlag`](crate::v1::MessageFlag): `1 << value`.
    named: u32,
    /// Numbers of the daemon's host.
    raw: u32,
}

/// MSG_ZEROCOPY, the same number on every Linux architecture.
const MSG_ZEROCOPY: u32 = 0x0400_0000;

impl MessageFlags {
    /// No flag.
    pub const NONE: Self = Self { named: 0, raw: 0 };
    /// MSG_OOB.
    pub const OOB: Self = Self::named(v1::MessageFlag::Oob);
    /// MSG_PEEK.
    pub const PEEK: Self = Self::named(v1::MessageFlag::Peek);
    /// MSG_DONTROUTE.
    pub const DONTROUTE: Self = Self::named(v1::MessageFlag::Dontroute);
    /// MSG_CTRUNC.
    pub const CTRUNC: Self = Self::named(v1::MessageFlag::Ctrunc);
    /// MSG_TRUNC.
    pub const TRUNC: Self = Self::named(v1::MessageFlag::Trunc);
    /// MSG_DONTWAIT.
    pub const DONTWAIT: Self = Self::named(v1::MessageFlag::Dontwait);
    /// MSG_EOR.
    pub const EOR: Self = Self::named(v1::MessageFlag::Eor);
    /// MSG_WAITALL.
    pub const WAITALL: Self = Self::named(v1::MessageFlag::Waitall);
    /// MSG_CONFIRM.
    pub const CONFIRM: Self = Self::named(v1::MessageFlag::Confirm);
    /// MSG_ERRQUEUE.
    pub const ERRQUEUE: Self = Self::named(v1::MessageFlag::Errqueue);
    /// MSG_NOSIGNAL.
    pub const NOSIGNAL: Self = Self::named(v1::MessageFlag::Nosignal);
    /// MSG_MORE.
    pub const MORE: Self = Self::named(v1::MessageFlag::More);
    /// MSG_WAITFORONE.
    pub const WAITFORONE: Self = Self::named(v1::MessageFlag::Waitforone);
    /// MSG_FASTOPEN.
    pub const FASTOPEN: Self = Self::named(v1::MessageFlag::Fastopen);

    const fn named(flag: v1::MessageFlag) -> Self {
        Self {
            named: 1 << flag as u32,
            raw: 0,
        }
    }

    /// Further flags by number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self { named: 0, raw }
    }

    /// Reads a request's `flags` and `raw_flags`.
    ///
    /// # Errors
    /// A [`Violation`] of `flags[N]` for a number that the enum does not name and for 0; of
    /// "raw_flags" for MSG_ZEROCOPY: the kernel would go on reading the buffer after the answer,
    /// and the buffer is the daemon's.
    pub fn from_wire(flags: &[i32], raw: u32) -> Result<Self, Violation> {
        if raw & MSG_ZEROCOPY != 0 {
            return Err(Violation::new(
                "raw_flags",
                "MSG_ZEROCOPY (0x4000000) is not possible, since the buffer is the daemon's; \
                 leave it out",
            ));
        }
        let mut all = Self::from_raw(raw);
        for (index, &number) in flags.iter().enumerate() {
            all |= match v1::MessageFlag::try_from(number) {
                Ok(v1::MessageFlag::Unspecified) => Err("0 is no flag; leave it out".to_owned()),
                Ok(flag) => Ok(Self::named(flag)),
                Err(_) => Err(format!(
                    "{number} is not known; name a MessageFlag, or give MSG_* numbers as raw_flags"
                )),
            }
            .map_err(|description| Violation::new(format!("flags[{index}]"), description))?;
        }
        Ok(all)
    }

    /// The named flags for the wire, upwards.
    #[must_use]
    pub fn to_wire(self) -> Vec<i32> {
        self.iter_named().map(i32::from).collect()
    }

    /// The named flags, upwards.
    pub fn iter_named(self) -> impl Iterator<Item = v1::MessageFlag> {
        (1..32)
            .filter(move |bit| self.named & (1 << bit) != 0)
            .filter_map(|bit| v1::MessageFlag::try_from(bit).ok())
    }

    /// The flags given by number.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.raw
    }

    /// Whether there is no flag in this set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.named == 0 && self.raw == 0
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.named & other.named == other.named && self.raw & other.raw == other.raw
    }

    /// Whether any of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.named & other.named != 0 || self.raw & other.raw != 0
    }

    /// This set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self {
            named: self.named & !other.named,
            raw: self.raw & !other.raw,
        }
    }
}

impl BitOr for MessageFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            named: self.named | other.named,
            raw: self.raw | other.raw,
        }
    }
}

impl BitOrAssign for MessageFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// As strace(1) prints them: "MSG_PEEK|MSG_DONTWAIT|0x4000", "0" for none.
impl fmt::Display for MessageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("0");
        }
        let mut separator = "";
        for flag in self.iter_named() {
            let name = flag.as_str_name();
            let name = name.strip_prefix("MESSAGE_FLAG_").unwrap_or(name);
            write!(f, "{separator}MSG_{name}")?;
            separator = "|";
        }
        if self.raw != 0 {
            write!(f, "{separator}{:#x}", self.raw)?;
        }
        Ok(())
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for MessageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_print_as_strace_prints_them() {
        let flags = MessageFlags::DONTWAIT | MessageFlags::from_raw(0x4000) | MessageFlags::PEEK;
        assert_eq!(flags.to_string(), "MSG_PEEK|MSG_DONTWAIT|0x4000");
        assert_eq!(format!("{flags:?}"), "MSG_PEEK|MSG_DONTWAIT|0x4000");
        assert_eq!(MessageFlags::from_raw(0x10).to_string(), "0x10");
        assert_eq!(MessageFlags::NONE.to_string(), "0");
    }

    #[test]
    fn sets_are_compared_and_reduced_by_names_and_numbers() {
        let both = MessageFlags::PEEK | MessageFlags::from_raw(0x10);
        assert!(both.contains(MessageFlags::PEEK) && both.contains(MessageFlags::NONE));
        assert!(!both.contains(MessageFlags::PEEK | MessageFlags::OOB));
        assert!(both.intersects(MessageFlags::PEEK | MessageFlags::OOB));
        assert!(!both.intersects(MessageFlags::OOB) && !both.intersects(MessageFlags::NONE));
        assert_eq!(
            both.without(MessageFlags::PEEK),
            MessageFlags::from_raw(0x10)
        );
        assert!(both.without(both).is_empty());
    }

    #[test]
    fn zero_and_unknown_numbers_are_violations_of_their_place() {
        assert_eq!(
            MessageFlags::from_wire(&[2, 0], 0)
                .expect_err("is refused")
                .field,
            "flags[1]"
        );
        assert_eq!(
            MessageFlags::from_wire(&[2, 6, 99], 0)
                .expect_err("is refused")
                .field,
            "flags[2]"
        );
        assert_eq!(
            MessageFlags::from_wire(&[-1], 0)
                .expect_err("is refused")
                .field,
            "flags[0]"
        );
    }

    #[test]
    fn zero_copy_is_refused_and_close_on_exec_is_taken() {
        let violation = MessageFlags::from_wire(&[], MSG_ZEROCOPY | 1).expect_err("is refused");
        assert_eq!(violation.field, "raw_flags");
        assert_eq!(
            MessageFlags::from_wire(&[], 0x4000_0000),
            Ok(MessageFlags::from_raw(0x4000_0000))
        );
    }

    #[test]
    fn every_named_flag_has_a_place_in_the_set() {
        for number in (1..).take_while(|&n| v1::MessageFlag::try_from(n).is_ok()) {
            let flags = MessageFlags::from_wire(&[number, number], 0).expect("is taken");
            assert_eq!(flags.to_wire(), [number]);
        }
    }

    proptest! {
        #[test]
        fn flags_survive_the_wire(numbers in prop::collection::vec(1..=14, 0..20), raw: u32) {
            let raw = raw & !MSG_ZEROCOPY;
            let flags = MessageFlags::from_wire(&numbers, raw).expect("is taken");
            let mut expected = numbers;
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(flags.to_wire(), expected);
            prop_assert_eq!(MessageFlags::from_wire(&flags.to_wire(), flags.raw()), Ok(flags));
        }

        #[test]
        fn from_wire_never_panics(numbers: Vec<i32>, raw: u32) {
            let _ = MessageFlags::from_wire(&numbers, raw);
        }
    }
}
