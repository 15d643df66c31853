//! CPU time per call or per GiB, ours beside the floor's: unlike latency and rate it hardly depends on what else the machine does.

use std::{fmt, time::Duration};

use crate::{Failure, process::Process, sink};

/// The CPU time of both servers up to now.
#[derive(Debug)]
pub(crate) struct CpuPerCall<'a> {
    ours: &'a Process,
    theirs: &'a Process,
    before: [Duration; 2],
}

/// What one call costs each server.
#[derive(Debug)]
pub(crate) struct Cost {
    ours: Duration,
    theirs: Duration,
    /// Microseconds.
    bare_send: f64,
}

impl<'a> CpuPerCall<'a> {
    /// Begins to count.
    ///
    /// # Errors
    /// One of them is gone.
    pub(crate) fn begin(ours: &'a Process, theirs: &'a Process) -> Result<Self, Failure> {
        Ok(Self {
            ours,
            theirs,
            before: [ours.cpu_time()?, theirs.cpu_time()?],
        })
    }

    /// What each has used since, for one of `calls`, of which each was asked so many.
    ///
    /// # Errors
    /// One of them is gone, or sendto(2) fails.
    pub(crate) fn end(self, calls: usize) -> Result<Cost, Failure> {
        let [ours, theirs] = self.before;
        let per_call = |process: &Process, before| -> Result<Duration, Failure> {
            let used = process.cpu_time()?.saturating_sub(before);
            Ok(used.div_f64(calls.max(1) as f64))
        };
        Ok(Cost {
            ours: per_call(self.ours, ours)?,
            theirs: per_call(self.theirs, theirs)?,
            bare_send: sink::bare_send()?,
        })
    }
}

/// Seconds of CPU time per GiB, of `used` for `bytes`.
pub(crate) fn per_gibibyte(used: Duration, bytes: u64) -> f64 {
    used.as_secs_f64() * f64::from(1 << 30) / bytes.max(1) as f64
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        write!(
            f,
            "CPU per call {:.1} us in the daemon, {:.1} us in the echo, which spares the sendto of {:.1} us",
            microseconds(self.ours),
            microseconds(self.theirs),
            self.bare_send
        )
    }
}
