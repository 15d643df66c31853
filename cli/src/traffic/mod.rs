//! What nc and forward share: connections as byte streams, how they are made, counted and ended.

pub(crate) mod dial;
pub(crate) mod duplex;
pub(crate) mod meter;
pub(crate) mod progress;
pub(crate) mod signals;
