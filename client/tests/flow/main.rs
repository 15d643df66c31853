//! Bulk data: against a daemon that is told what to say, and against a real one.

mod fake;
mod told;
