//! The relay between two sockets: what it moves, and how it ends.

mod ending;
mod messages;
mod moving;
mod refusal;
mod support;
