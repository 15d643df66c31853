//! The cases: one file each, and one line in [`CASES`].

mod accept_rate;
mod datagrams_down;
mod datagrams_up;
mod handle_cost;
mod handle_scale;
mod idle;
mod operation_latency;
mod operation_rate;
mod setup_rtt;
mod slow_readers;
mod splice;
mod stall_isolation;
mod start;
mod stream_down;
mod stream_up;
mod unary_latency;
mod unary_rate;

use std::path::PathBuf;

use clap::builder::PossibleValue;

use crate::{Failure, report::Row};

/// Every case, in the order in which they are measured and reported.
pub(crate) const CASES: &[Case] = &[
    unary_latency::CASE,
    operation_latency::CASE,
    unary_rate::CASE,
    operation_rate::CASE,
    setup_rtt::CASE,
    stream_up::CASE,
    stream_down::CASE,
    splice::CASE,
    datagrams_up::CASE,
    datagrams_down::CASE,
    accept_rate::CASE,
    stall_isolation::CASE,
    slow_readers::CASE,
    handle_cost::CASE,
    handle_scale::CASE,
    start::CASE,
    idle::CASE,
];

/// One thing to measure.
#[derive(Debug)]
pub(crate) struct Case {
    /// What it is called on the command line and in the report.
    pub(crate) name: &'static str,
    /// What it measures, in a line.
    pub(crate) about: &'static str,
    /// Measures it. Starts the processes it needs and ends them.
    pub(crate) run: fn(&Plan) -> Result<Vec<Row>, Failure>,
}

/// How to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How many rounds to take the medians of; at least 1.
    pub(crate) rounds: usize,
    /// Whether to make rounds short.
    pub(crate) quick: bool,
    /// The daemon's program.
    pub(crate) daemon: PathBuf,
}

impl Case {
    /// Its name and what it measures, for the command line's help.
    pub(crate) fn possible_value(&self) -> PossibleValue {
        PossibleValue::new(self.name).help(self.about)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_cases_have_the_same_name() {
        let names: HashSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}
