//! Models of the hand-written wakers: `cargo run --manifest-path loom/Cargo.toml`. Each is the source itself, with loom's types in the place of
//! std's ([`sync`]), and is run in every interleaving of its threads with up to three preemptions; LOOM_MAX_PREEMPTIONS is another bound.
//!
//! What is below them (tokio's Notify, FuturesUnordered) is not taken apart: it acts at once.

#![allow(
    dead_code,
    unused_imports,
    reason = "of each source only what its model needs is used"
)]

#[path = "../../daemon/src/listener/calls.rs"]
mod calls;
mod models;
#[path = "../../client/src/pump.rs"]
mod pump;
mod session;
mod sync;

/// How many times a thread may be stopped where it need not be.
const PREEMPTIONS: usize = 3;

fn main() {
    let models: [(&str, fn()); 4] = [
        ("calls: no wake is lost", models::calls_lose_no_wake),
        (
            "pump: no work is lost between its task and a caller",
            models::pump_loses_no_work,
        ),
        (
            "pump: its task ends with the last handle",
            models::pump_ends_with_its_last_handle,
        ),
        (
            "outbox: every message is taken, and then the end",
            models::outbox_loses_no_message,
        ),
    ];
    for (name, model) in models {
        println!("{name}");
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(PREEMPTIONS);
        builder.check(model);
    }
    println!("{} passed, 0 failed", models.len());
}
