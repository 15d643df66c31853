//! `splice`: how many bytes a second go from a TCP connection to another within the daemon, against socat between the same two.

use super::{Case, Plan};
use crate::{Failure, bulk, report::Row};

pub(crate) const CASE: Case = Case {
    name: "splice",
    about: "bytes a second from one TCP connection of the daemon's to another by Splice, against socat",
    run,
};

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    bulk::spliced(CASE.name, plan)
}
