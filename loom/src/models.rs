//! The models: two or three threads each, and what must have come about when all have ended.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use hyper::rt::Executor as _;
use loom::{
    future::block_on,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    calls::{Calls, Driver},
    pump::Pump,
    session::outbox::{Detached, Message, Outbox},
    sync::{AtomicWaker, Mutex},
};

/// Something that others put work into, and a future takes it from.
#[derive(Default)]
struct Mail {
    count: AtomicUsize,
    waker: AtomicWaker,
}

impl Mail {
    fn put(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Ends when so many have come.
    fn taken(self: Arc<Self>, all: usize) -> impl Future<Output = ()> + Send {
        poll_fn(move |context| {
            self.waker.register(context.waker());
            if self.count.load(Ordering::SeqCst) == all {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

/// Two threads wake a connection and a call of its; the connection's task, asleep or about to be, sees both.
pub(crate) fn calls_lose_no_wake() {
    let calls = Calls::default();
    let (connection, call) = (Arc::new(Mail::default()), Arc::new(Mail::default()));
    let answer = Arc::new(Mail::default());
    calls.execute({
        let (call, answer) = (Arc::clone(&call), Arc::clone(&answer));
        async move {
            call.taken(1).await;
            answer.put();
        }
    });
    let ends = {
        let (connection, answer) = (Arc::clone(&connection), Arc::clone(&answer));
        async move {
            connection.taken(1).await;
            answer.taken(1).await;
        }
    };
    let threads = [connection, call].map(|mail| thread::spawn(move || mail.put()));
    // A lost wake leaves nobody to run: loom reports a deadlock.
    block_on(Driver::new(ends, calls));
    for thread in threads {
        thread.join().unwrap();
    }
}

thread_local! {
    /// Of no model: what the pump enters while a caller works.
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
}

fn pump() -> (Pump, impl Future<Output = ()> + Send + 'static) {
    Pump::new(RUNTIME.with(|runtime| runtime.handle().clone()))
}

/// A caller stands in for the task, while another thread wakes the work: one of them does it.
pub(crate) fn pump_loses_no_work() {
    let (pump, task) = pump();
    let (mail, done) = (Arc::new(Mail::default()), Arc::new(Mail::default()));
    pump.run({
        let (mail, done) = (Arc::clone(&mail), Arc::clone(&done));
        async move {
            mail.taken(2).await;
            done.put();
        }
    });
    let task = thread::spawn(move || block_on(task));
    let other = thread::spawn({
        let mail = Arc::clone(&mail);
        move || mail.put()
    });
    {
        let shift = pump.idle();
        mail.put();
        if let Some(shift) = shift {
            shift.work();
        }
    }
    block_on(done.taken(1));
    drop(pump);
    other.join().unwrap();
    task.join().unwrap();
}

/// The last handle is dropped on one of two threads, whenever that is: the task ends.
pub(crate) fn pump_ends_with_its_last_handle() {
    let (pump, task) = pump();
    let other = pump.clone();
    let dropping = thread::spawn(move || drop(other));
    let shift = pump.idle();
    let task = thread::spawn(move || block_on(task));
    drop(shift);
    drop(pump);
    dropping.join().unwrap();
    task.join().unwrap();
}

/// One thread pushes and says that there is no more, another detaches: what was pushed before comes before.
pub(crate) fn outbox_loses_no_message() {
    let outbox = Arc::new(Outbox::default());
    let pushing = thread::spawn({
        let outbox = Arc::clone(&outbox);
        move || {
            outbox.push(Message::Ended(1));
            outbox.push(Message::Ended(2));
            outbox.detach(Detached::Taken);
            outbox.push(Message::Ended(3));
        }
    });
    let mut taken = Vec::new();
    let end = block_on(async {
        loop {
            match outbox.take(1, || false).await {
                Ok(messages) => taken.extend(messages),
                Err(why) => return why,
            }
        }
    });
    assert_eq!(taken, [Message::Ended(1), Message::Ended(2)]);
    assert_eq!(end, Detached::Taken);
    pushing.join().unwrap();
}
