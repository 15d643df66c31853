//! What a call says beside its request, and what is told of it beside its answer: passed to the call
//! by the task it runs in, so that every verb has it and none has a parameter for it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use farsock_proto::v1;
use tokio::sync::Notify;

use crate::stream::{Extras, Receipt};

tokio::task_local! {
    pub(crate) static SCOPE: Arc<Scope>;
}

/// See the file's text. Holds for every operation that is started within it.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    extras: Mutex<Extras>,
    /// The request id of the last operation; 0 before.
    last_id: AtomicU64,
    timing: Mutex<Option<v1::OperationTiming>>,
    /// Of the last result, which the caller does not have yet.
    receipt: Mutex<Option<Receipt>>,
}

impl Scope {
    /// The scope that this is called in.
    pub(crate) fn current() -> Option<Arc<Self>> {
        SCOPE.try_with(Arc::clone).ok()
    }

    /// How long the operation that is started now is to wait for its time, by this host's clock; 0 outside any scope.
    pub(crate) fn until_start() -> Duration {
        let start = Self::current().and_then(|scope| lock(&scope.extras).start_time);
        start
            .and_then(|start| SystemTime::try_from(start).ok())
            .and_then(|start| start.duration_since(SystemTime::now()).ok())
            .unwrap_or_default()
    }

    pub(crate) fn extras(&self) -> Extras {
        lock(&self.extras).clone()
    }

    pub(crate) fn set(&self, set: impl FnOnce(&mut Extras)) {
        set(&mut lock(&self.extras));
    }

    /// Who is told that an operation waits, if anyone wants to know.
    pub(crate) fn waiting(&self) -> Option<Arc<Notify>> {
        lock(&self.extras).waiting.clone()
    }

    /// An operation of that id is started: what the one before it took was received.
    pub(crate) fn started(&self, id: u64) {
        self.accept();
        self.last_id.store(id, Ordering::Relaxed);
    }

    /// The last operation has ended, and its result is on the way to the caller.
    pub(crate) fn hold(&self, receipt: Option<Receipt>) {
        *lock(&self.receipt) = receipt;
    }

    /// The caller has the result.
    pub(crate) fn accept(&self) {
        let receipt = lock(&self.receipt).take();
        if let Some(receipt) = receipt {
            receipt.accept();
        }
    }

    /// The caller does not get the result: what was taken is given back.
    pub(crate) fn give_back(&self) {
        let receipt = lock(&self.receipt).take();
        drop(receipt);
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.last_id.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&self, timing: v1::OperationTiming) {
        *lock(&self.timing) = Some(timing);
    }

    pub(crate) fn timing(&self) -> Option<v1::OperationTiming> {
        *lock(&self.timing)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
