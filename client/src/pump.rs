//! Moves one connection's messages: everything that the connection runs (HTTP/2, request bodies, the session's driver) in one task,
//! which callers may stand in for.
//!
//! In tasks of their own these wake each other several times a call, and a caller outside the runtime's workers pays for waking one
//! of them: more than for the system calls that the message takes. Here they are polled in turns until none has anything to do,
//! and a caller who finds the connection idle ([`Pump::idle`]) sends its message by itself.
//!
//! Tasks: one, started by [`Pump::start`] on the runtime. It ends when all handles on the pump are dropped and what it runs has
//! ended, or with the runtime, which drops what it runs.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{Stream, stream::FuturesUnordered};
use hyper::rt::Executor;
use tokio::task::coop;

use crate::sync::{AtomicBool, AtomicUsize, AtomicWaker, Mutex, MutexGuard, Ordering};

/// How many times everything is polled before the other tasks of the worker, or the caller, go on.
const TURNS: u8 = 16;

/// A handle on a pump.
#[derive(Debug)]
pub(crate) struct Pump(Arc<Inner>);

/// Invariant: after a wake somebody polls, since whoever does so looks for wakes again once it has let go of `running`.
struct Inner {
    /// What is to be run and was not polled yet; none once the pump has ended.
    begun: Mutex<Option<Vec<Work>>>,
    /// What is run. Whoever holds this polls.
    running: Mutex<FuturesUnordered<Running>>,
    wakes: Arc<Wakes>,
    /// `wakes`, as what is run knows it.
    waker: Waker,
    handles: AtomicUsize,
    runtime: tokio::runtime::Handle,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Pump {
    /// Starts one on the runtime that this is called in.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Handle::current();
        let (pump, task) = Self::new(runtime);
        tokio::spawn(task);
        pump
    }

    /// One, and what is to run as its task on that runtime.
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let wakes = Arc::new(Wakes::default());
        let inner = Arc::new(Inner {
            begun: Mutex::new(Some(Vec::new())),
            running: Mutex::default(),
            waker: Arc::clone(&wakes).into(),
            wakes,
            handles: AtomicUsize::new(1),
            runtime,
        });
        let task = Task(Arc::clone(&inner));
        (Self(inner), task)
    }

    /// Runs `work` to its end, or until the runtime ends.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.begin(Box::pin(work));
    }

    /// The pump, if nobody works it at the moment. What is woken until [`Shift::work`] waits for that.
    pub(crate) fn idle(&self) -> Option<Shift<'_>> {
        // Never poisoned: what panics is caught within.
        let running = self.0.running.try_lock().ok()?;
        self.0.wakes.begin();
        Some(Shift {
            inner: &self.0,
            running: Some(running),
        })
    }

    fn begin(&self, work: Work) {
        // Without a task to run it, it ends here.
        if let Some(begun) = self.0.begun().as_mut() {
            begun.push(work);
        }
        self.0.wakes.wake_by_ref();
    }
}

impl Clone for Pump {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wakes.wake_by_ref();
        }
    }
}

impl Executor<Work> for Pump {
    fn execute(&self, work: Work) {
        self.begin(work);
    }
}

/// A caller's stand-in for the task.
#[must_use = "what was woken waits for it"]
pub(crate) struct Shift<'a> {
    inner: &'a Inner,
    /// Present until dropped.
    running: Option<MutexGuard<'a, FuturesUnordered<Running>>>,
}

impl Shift<'_> {
    /// Polls what was woken.
    pub(crate) fn work(mut self) {
        if let Some(running) = &mut self.running {
            let _runtime = self.inner.runtime.enter();
            self.inner.turns(running);
        }
    }
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        self.inner.wakes.end();
        self.running = None;
        // What was woken until then found this working.
        if self.inner.wakes.is_woken() {
            self.inner.wakes.task.wake();
        }
    }
}

impl Inner {
    fn begun(&self) -> MutexGuard<'_, Option<Vec<Work>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls what was woken, and what that wakes, until there is nothing more to do or for [`TURNS`] turns.
    fn turns(&self, running: &mut FuturesUnordered<Running>) {
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..TURNS {
            self.wakes.begin();
            for work in self.begun().iter_mut().flat_map(|begun| begun.drain(..)) {
                running.push(Running(work));
            }
            while let Poll::Ready(Some(())) = Pin::new(&mut *running).poll_next(&mut context) {}
            // Without budget everything would be polled in vain until the task, or the caller's, runs again.
            if !self.wakes.is_woken() || !coop::has_budget_remaining() {
                break;
            }
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

/// The task.
struct Task(Arc<Inner>);

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let inner = &self.0;
        inner.wakes.task.register(context.waker());
        let Ok(mut running) = inner.running.try_lock() else {
            // Whoever works looks for wakes again.
            return Poll::Pending;
        };
        inner.turns(&mut running);
        if inner.handles.load(Ordering::Acquire) == 0 && running.is_empty() {
            return Poll::Ready(());
        }
        inner.wakes.end();
        drop(running);
        if inner.wakes.is_woken() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let begun = self.0.begun().take();
        let lock = self.0.running.lock();
        let running = std::mem::take(&mut *lock.unwrap_or_else(PoisonError::into_inner));
        // What this drops may look for the pump.
        drop((begun, running));
    }
}

/// What is run.
struct Running(Work);

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // As in a task of its own, a panic ends it alone.
        let polled = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(()))
    }
}

/// Wakes of what is run. While somebody works they are only noted.
#[derive(Default)]
struct Wakes {
    working: AtomicBool,
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wakes {
    /// What was noted is seen to from here on.
    fn begin(&self) {
        self.working.store(true, Ordering::SeqCst);
        self.woken.store(false, Ordering::SeqCst);
    }

    /// From here on a wake is a wake.
    fn end(&self) {
        self.working.store(false, Ordering::SeqCst);
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.working.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_run_runs_to_its_end_and_wakes_what_else_is_run() {
        let pump = Pump::start();
        let (first, second) = (oneshot::channel(), oneshot::channel());
        pump.run(async move {
            first.1.await.unwrap();
            second.0.send(()).unwrap();
        });
        pump.run(async move { first.0.send(()).unwrap() });
        second.1.await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_of_an_idle_pump_does_the_work_itself() {
        let pump = Pump::start();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (echo, mut heard) = mpsc::unbounded_channel();
        pump.run(async move {
            while let Some(number) = receiver.recv().await {
                echo.send(number).unwrap();
            }
        });
        tokio::task::yield_now().await;
        for number in 0..16 {
            let shift = pump.idle().expect("nobody else works");
            sender.send(number).unwrap();
            shift.work();
            // Without an await: this task has not given way.
            assert_eq!(heard.try_recv(), Ok(number));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_is_lost_between_callers_and_the_task() {
        let pump = Pump::start();
        let (sender, mut receiver) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        pump.run(async move {
            while let Some(answer) = receiver.recv().await {
                answer.send(()).unwrap();
            }
        });
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (pump, sender) = (pump.clone(), sender.clone());
                tokio::spawn(async move {
                    for round in 0..5_000 {
                        let (answer, answered) = oneshot::channel();
                        {
                            let shift = if round % 3 == 0 { None } else { pump.idle() };
                            sender.send(answer).unwrap();
                            if let Some(shift) = shift {
                                shift.work();
                            }
                        }
                        answered.await.unwrap();
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_task_ends_with_the_last_handle_and_the_last_work() {
        let pump = Pump::start();
        let inner = Arc::downgrade(&pump.0);
        let (end, ended) = oneshot::channel::<()>();
        pump.clone().run(async move { ended.await.unwrap() });
        drop(pump);
        tokio::task::yield_now().await;
        assert!(inner.upgrade().is_some());
        end.send(()).unwrap();
        while inner.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn the_end_of_the_runtime_drops_what_is_run_and_all_that_comes_later() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (held, mut dropped) = oneshot::channel::<()>();
        let pump = runtime.block_on(async {
            let pump = Pump::start();
            pump.run(async move {
                let _held = held;
                std::future::pending().await
            });
            tokio::task::yield_now().await;
            pump
        });
        drop(runtime);
        assert!(
            dropped
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
        let (held, mut dropped) = oneshot::channel::<()>();
        pump.run(async move { drop(held) });
        assert!(
            dropped
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
    }
}
