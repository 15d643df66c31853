//! System calls that may take their time: they must not hold up what else the thread they are made on has to do.
//!
//! What an RPC can wait for belongs on the runtime's blocking threads. An operation cannot: operations on one handle take effect in the order in
//! which they arrive, so it makes its calls where it stands, and the thread's other work goes elsewhere meanwhile.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Makes a call, which takes its time if `slow` says so: then this thread's other tasks run on another one meanwhile. That costs some 10 us,
/// and on a runtime of a single thread it does nothing.
pub(crate) fn in_place<T>(slow: bool, call: impl FnOnce() -> T) -> T {
    let many_threads = || {
        Handle::try_current()
            .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if slow && many_threads() {
        tokio::task::block_in_place(call)
    } else {
        call()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_other_tasks_of_a_thread_go_on_while_one_makes_a_slow_call() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("threads");
        let (send, receive) = mpsc::channel();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let slow = runtime.spawn(async move {
            in_place(true, || {
                begin.send(()).expect("somebody waits");
                // Until the other task has run, for which there is this one thread.
                receive.recv()
            })
        });
        runtime.spawn(async move {
            begun.await.expect("it begins");
            send.send("done")
        });
        let done = runtime.block_on(slow).expect("no panic");
        assert_eq!(done, Ok("done"));
    }

    #[tokio::test]
    async fn on_a_single_thread_the_call_is_made_all_the_same() {
        assert_eq!(in_place(true, || 7), 7);
    }
}
