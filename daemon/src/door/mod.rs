//! The doors: they check, convert, execute and convert back.

pub(crate) mod host;
pub(crate) mod reflection;
