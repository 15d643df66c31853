//! Conformance: the kernel is the oracle. Each sequence of calls runs once directly and once through the daemon, and every answer must
//! be the same: results, errno, bytes, flags, addresses, what options read back.
//!
//! A case is a name and a sequence ([`script`]); a [`world`] makes its calls, by libc ([`direct`]) or by a client of an embedded daemon
//! ([`remote`]); [`compare`] holds the two against each other. `FARSOCK_CASE='part of a name'` runs the cases of that name alone,
//! and `PROPTEST_CASES=5000` more of the random ones.

mod call;
mod cases;
mod compare;
mod control_text;
mod direct;
mod kinds;
mod options;
mod outcome;
mod random;
mod remote;
mod script;
mod theme;
mod world;

use std::collections::HashSet;

/// A test for each theme, and the list of them all.
macro_rules! themes {
    ($($theme:ident)*) => {
        $(#[test]
        fn $theme() {
            compare::check(&cases::$theme::theme());
        })*

        fn all() -> Vec<theme::Theme> {
            vec![
                $(cases::$theme::theme(),)*
                cases::fast_open::without_cookie(),
                cases::fast_open::with_cookie(),
            ]
        }
    };
}

themes! {
    accept addresses at_once bind close connect connecting control create datagram empty error_queue limits low_water many multicast nothing
    other pending peek poll
    rights shutdown splice stream truncation urgent
}

/// The client asks for Fast Open, and listeners of the namespace give no cookies.
#[test]
fn fast_open_without_cookie() {
    direct::within(
        "fast_open_without_cookie",
        &[("ipv4/tcp_fastopen", "1")],
        || compare::check(&cases::fast_open::without_cookie()),
    );
}

/// Listeners of the namespace give cookies.
#[test]
fn fast_open_with_cookie() {
    direct::within(
        "fast_open_with_cookie",
        &[("ipv4/tcp_fastopen", "3")],
        || compare::check(&cases::fast_open::with_cookie()),
    );
}

#[test]
fn there_are_at_least_200_cases_and_each_has_a_name_of_its_own() {
    let themes = all();
    let names: Vec<&str> = themes
        .iter()
        .flat_map(|theme| &theme.cases)
        .map(|case| case.name.as_str())
        .collect();
    eprintln!("{} named cases", names.len());
    assert!(names.len() >= 200);
    let distinct: HashSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len(), "a name is used twice");
}
