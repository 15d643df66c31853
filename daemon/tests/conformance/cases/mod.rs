//! The named cases, by theme.

pub(crate) mod accept;
pub(crate) mod addresses;
pub(crate) mod at_once;
pub(crate) mod bind;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod connecting;
pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod datagram;
pub(crate) mod empty;
pub(crate) mod error_queue;
pub(crate) mod fast_open;
pub(crate) mod limits;
pub(crate) mod many;
pub(crate) mod multicast;
pub(crate) mod nothing;
pub(crate) mod other;
pub(crate) mod peek;
pub(crate) mod poll;
pub(crate) mod rights;
pub(crate) mod shutdown;
pub(crate) mod splice;
pub(crate) mod stream;
pub(crate) mod truncation;
pub(crate) mod urgent;
