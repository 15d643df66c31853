//! The client against daemons that no real one would be: silent, cut off, restarted, and answering
//! nonsense.

mod connecting;
mod deadlines;
mod errors;
mod fake;
mod handles;
mod lists;
