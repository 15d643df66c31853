//! What the outbox names of its own module.

#[path = "../../daemon/src/session/outbox.rs"]
pub(crate) mod outbox;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal;

pub(crate) struct Limits {
    pub(crate) results: usize,
}

pub(crate) const LIMITS: Limits = Limits { results: 4 };
