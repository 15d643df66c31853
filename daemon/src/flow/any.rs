//! A socket's flow, whichever kind it is.

use std::sync::{Arc, Mutex, PoisonError};

use super::{AcceptFlow, ByteFlow, DatagramFlow};

/// A flow of some kind.
#[derive(Debug)]
pub(super) enum Flow {
    Bytes(Arc<ByteFlow>),
    Datagrams(Arc<DatagramFlow>),
    Accepts(Arc<AcceptFlow>),
}

impl Flow {
    fn is_free(&self) -> bool {
        match self {
            Self::Bytes(flow) => flow.is_free(),
            Self::Datagrams(flow) => flow.is_free(),
            Self::Accepts(flow) => flow.is_free(),
        }
    }
}

/// Where a socket's flow hangs; most sockets never have one.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Flow>>);

impl Slot {
    /// The flow, if `find` finds in it the kind that is wanted, or else the one that `make` makes; none while one of another kind is
    /// open or holds something.
    pub(super) fn get_or_make<T>(
        &self,
        find: impl FnOnce(&Flow) -> Option<&Arc<T>>,
        make: impl FnOnce() -> (Arc<T>, Flow),
    ) -> Option<Arc<T>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flow) = &*slot {
            match find(flow) {
                Some(found) => return Some(Arc::clone(found)),
                None if !flow.is_free() => return None,
                None => {}
            }
        }
        let (made, flow) = make();
        *slot = Some(flow);
        Some(made)
    }
}
