//! Bulk data of one socket: what StreamService moves, and what is kept of it until the other side has it.
#![allow(dead_code, reason = "its users come next")]

pub(crate) mod ledger;
