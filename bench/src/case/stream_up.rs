//! `stream-up`: how many bytes a second go from the Rust client through the daemon to a TCP sink, against socat, a naive relay and
//! ssh in the daemon's place.

use super::{Case, Plan};
use crate::{
    Failure,
    bulk::{self, Direction},
    report::Row,
};

pub(crate) const CASE: Case = Case {
    name: "stream-up",
    about: "bytes a second from a client to a TCP sink, against socat, a naive tonic relay and ssh -L",
    run,
};

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    bulk::rows(CASE.name, plan, Direction::Up)
}
