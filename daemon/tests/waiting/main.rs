//! Calls that wait, and what ends them: clients that go away, handles that are closed, limits, and ten thousand of them at once.

mod crowd;
mod descriptors;
mod dropped;
mod ended;
mod order;
mod owners;
mod quota;
mod shutdown;
mod support;
