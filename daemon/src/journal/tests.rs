//! The journal without a door: who is told what, and what a reader that does not read costs.

use std::sync::Arc;

use super::*;
use crate::{
    engine::{Allowed, Engine, EngineLimits},
    operation::{Close, execute},
};

const OWNER: Owner = Owner::Uid(7);

fn engine() -> Arc<Engine> {
    let limits = EngineLimits {
        max_handles: 8,
        max_waiting: 8,
        allowed: Allowed::default(),
    };
    Engine::new(limits).expect("the kernel has an epoll descriptor to give")
}

/// Makes an operation that fails at once.
async fn operate(engine: &Arc<Engine>, owner: Owner) {
    let context = Context {
        engine: Arc::clone(engine),
        owner,
        session: None,
        request_id: None,
        watch: None,
    };
    let close = Close {
        handle: Handle(9),
        abort: false,
    };
    execute(&context, close)
        .await
        .expect_err("there is no handle 9");
}

async fn record(reader: &mut Reader) -> Arc<Record> {
    match reader.next().await {
        Some(News::Record(record)) => record,
        other => panic!("{other:?} is no record"),
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_by_how_many_records_and_holds_up_nobody() {
    let engine = engine();
    let mut slow = engine.journal.watch(OWNER, false).expect("not draining");
    let extra = 10;
    for _ in 0..CAPACITY + extra {
        operate(&engine, OWNER).await;
    }
    match slow.next().await {
        Some(News::Missed(count)) => assert_eq!(count, extra as u64),
        other => panic!("{other:?} is not what it missed"),
    }
    assert_eq!(record(&mut slow).await.sequence, extra as u64 + 1);
}

#[tokio::test]
async fn each_owner_reads_of_its_own_operations_alone() {
    let engine = engine();
    let mut reader = engine.journal.watch(OWNER, false).expect("not draining");
    let mut other = engine
        .journal
        .watch(Owner::Tcp, false)
        .expect("not draining");
    operate(&engine, Owner::Tcp).await;
    operate(&engine, OWNER).await;
    // Its number too says nothing of what others do.
    let seen = record(&mut reader).await;
    assert_eq!((seen.sequence, seen.owner), (1, OWNER));
    assert_eq!(seen.call(0), "close(9)");
    assert_eq!(seen.result, "= HANDLE_NOT_FOUND");
    assert_eq!(record(&mut other).await.owner, Owner::Tcp);
}

#[tokio::test]
async fn nothing_is_kept_when_the_last_reader_has_gone() {
    let engine = engine();
    let first = engine.journal.watch(OWNER, true).expect("not draining");
    let second = engine.journal.watch(OWNER, false).expect("not draining");
    drop(first);
    assert_eq!(engine.journal.lock().by_owner.len(), 1);
    drop(second);
    assert!(engine.journal.lock().by_owner.is_empty());
    assert_eq!(engine.journal.readers.load(Ordering::Relaxed), 0);
    operate(&engine, OWNER).await;
}

#[tokio::test]
async fn the_end_comes_after_what_was_recorded_before_it() {
    let engine = engine();
    let mut reader = engine.journal.watch(OWNER, false).expect("not draining");
    operate(&engine, OWNER).await;
    engine.journal.end();
    assert_eq!(record(&mut reader).await.verb, "Close");
    assert!(reader.next().await.is_none());
    assert!(engine.journal.watch(OWNER, false).is_err());
}
