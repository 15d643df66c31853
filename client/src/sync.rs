//! What the hand-written wakers synchronize by. `loom/` has a module of the same name, with loom's types: it tries how threads can interleave.

pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

pub(crate) use futures_util::task::AtomicWaker;
