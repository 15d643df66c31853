//! Sessions, without a door: their operations are closures.

use std::{pin::pin, task::Poll};

use tokio::task::coop;

use super::*;
use crate::table::Aftermath;

fn session() -> Arc<Session<&'static str>> {
    let terms = Terms {
        owner: Owner::Embedded,
        lease: Duration::from_secs(3600),
        on_expiry: OnExpiry::Close,
        label: String::new(),
    };
    Session::new(
        terms,
        Block::new(String::new(), 1, Aftermath::Close),
        Instant::now(),
    )
}

fn start<F>(id: u64, after: u64, run: impl FnOnce(Arc<Watch>) -> F) -> Start<&'static str>
where
    F: Future<Output = Finished<&'static str>> + Send + 'static,
{
    Start {
        id,
        after,
        fingerprint: 0,
        room: 0,
        job: Job::new(run, |_, _| ended("not run", false), false),
    }
}

fn ended(result: &'static str, succeeded: bool) -> Finished<&'static str> {
    Finished {
        result,
        bytes: 0,
        succeeded,
    }
}

#[tokio::test]
async fn a_cancel_reaches_an_operation_whose_turn_has_come_and_that_has_not_begun() {
    let session = session();
    let (release, released) = oneshot::channel();
    let first = start(1, 0, |_| async move {
        released.await.expect("it is released");
        ended("first", true)
    });
    session.start(first).expect("an id of its own");
    // Both turns come at once; this one's is carried out before the other.
    let canceller = Arc::clone(&session);
    let second = start(2, 1, |_| async move {
        canceller.cancel(3, false).expect("it is known");
        ended("second", true)
    });
    session.start(second).expect("an id of its own");
    let third = start(3, 1, |watch| async move {
        watch.cancelled().await;
        ended("cancelled", false)
    });
    session.start(third).expect("an id of its own");
    release.send(()).expect("the first waits");
    // The same again, to wait for its end.
    let again = session.perform(start(3, 1, |_| async { unreachable!("it is known") }));
    let third = tokio::time::timeout(Duration::from_secs(10), again).await;
    assert_eq!(third.expect("it ends"), Ok(Some("cancelled")));
}

#[tokio::test]
async fn an_operation_takes_effect_where_it_starts_however_busy_its_task_was() {
    let session = session();
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    // All within one poll, which has no budget left.
    std::future::poll_fn(|context| {
        while coop::has_budget_remaining() {
            let spent = pin!(coop::consume_budget()).poll(context);
            assert!(spent.is_ready());
        }
        for id in 1..=2 {
            let turn = Arc::clone(&turn);
            let operation = start(id, 0, |_| async move {
                drop(turn.lock().await);
                ended("at once", true)
            });
            session.start(operation).expect("an id of its own");
            assert_eq!(session.result(id), Some("at once"));
        }
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn callers_that_have_gone_leave_nothing_behind() {
    let session = session();
    let forever = || start(1, 0, |_| std::future::pending());
    for _ in 0..1_000 {
        let asking = pin!(session.perform(forever()));
        let poll = asking.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(poll.is_pending());
    }
    let waiters = session.lock().under_way[&1].waiters.capacity();
    assert!(waiters < 10, "room for {waiters}");
}

/// Counts what is given back.
#[derive(Debug)]
struct Given(Arc<std::sync::atomic::AtomicUsize>);

impl crate::socket::GiveBack for Given {
    fn give_back(self: Box<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_was_answered_and_has_not_ended_yet_is_undone_and_so_is_what_has_ended() {
    let session = session();
    let count = Arc::<std::sync::atomic::AtomicUsize>::default();
    let given = || count.load(std::sync::atomic::Ordering::SeqCst);
    let take = |watch: &Watch| {
        let given = Given(Arc::clone(&count));
        let taken = watch.undo().act(|| Ok(((), Box::new(given) as _)));
        taken.expect("it is not cancelled");
    };
    let (release, released) = oneshot::channel();
    let between = start(1, 0, |watch| {
        take(&watch);
        async move {
            released.await.expect("it is released");
            ended("taken", true)
        }
    });
    session.start(between).expect("an id of its own");
    session.cancel(1, true).expect("it is known");
    assert_eq!(given(), 1);
    release.send(()).expect("it waits");
    while session.result(1).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(session.result(1), Some("not run"));

    let second = start(2, 0, |watch| {
        take(&watch);
        std::future::ready(ended("taken", true))
    });
    session.start(second).expect("an id of its own");
    session.cancel(2, false).expect("it is known");
    assert_eq!((session.result(2), given()), (Some("taken"), 1));
    for _ in 0..2 {
        session.cancel(2, true).expect("it is known");
        assert_eq!((session.result(2), given()), (Some("not run"), 2));
    }
    let follows = start(3, 2, |_| std::future::ready(ended("followed", true)));
    session.start(follows).expect("an id of its own");
    assert_eq!(session.result(3), Some("not run"));

    // What was acknowledged is its client's.
    let third = start(4, 0, |watch| {
        take(&watch);
        std::future::ready(ended("taken", true))
    });
    session.start(third).expect("an id of its own");
    assert_eq!(session.acknowledge(&[4]), []);
    assert_eq!(session.cancel(4, true), Err(Refusal::Unknown));
    assert_eq!(given(), 2);
}
