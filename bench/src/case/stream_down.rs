//! `stream-down`: how many bytes a second go from a TCP source through the daemon to the Rust client, against socat, a naive relay and
//! ssh in the daemon's place.

use super::{Case, Plan};
use crate::{
    Failure,
    bulk::{self, Direction},
    report::Row,
};

pub(crate) const CASE: Case = Case {
    name: "stream-down",
    about: "bytes a second from a TCP source to a client, against socat, a naive tonic relay and ssh -L",
    run,
};

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    bulk::rows(CASE.name, plan, Direction::Down)
}
