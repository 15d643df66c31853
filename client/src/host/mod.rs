//! The host that the daemon runs on.

pub(crate) mod clock;
pub(crate) mod info;
pub(crate) mod interfaces;
pub(crate) mod resolve;
