//! The table, with real sockets and an engine of its own.

use std::{os::fd::AsFd as _, thread};

use farsock_proto::socket::{Domain, Protocol, SocketType};
use proptest::prelude::*;

use super::*;
use crate::{
    engine::{Allowed, Engine, EngineLimits},
    socket::Ended,
    sys,
};

const OWNERS: [Owner; 2] = [Owner::Uid(1), Owner::Uid(2)];

fn engine() -> Arc<Engine> {
    let limits = EngineLimits {
        max_handles: 100,
        max_waiting: 16,
        allowed: Allowed::default(),
    };
    Engine::new(limits).expect("the kernel has descriptors to give")
}

/// A socket in the table.
fn place(engine: &Engine, owner: Owner, session: Option<&Arc<Block>>) -> Result<Arc<Socket>> {
    let fd = sys::socket::create(Domain::Unix, SocketType::Dgram, Protocol::Default);
    let fd = fd.expect("a socket");
    let kind = sys::socket::kind(fd.as_fd()).expect("it is open");
    let room = engine.table.reserve()?;
    engine.place(room, None, |handle| {
        Socket::new(engine, handle, (owner, session.cloned()), fd, kind, false)
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// A socket of an owner, in the session of that owner or in none.
    Add(usize, bool),
    Remove(prop::sample::Index),
    EndSession(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..OWNERS.len(), any::<bool>()).prop_map(|(owner, in_it)| Step::Add(owner, in_it)),
        4 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => (0..OWNERS.len()).prop_map(Step::EndSession),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_session_and_each_owner_has_what_was_added_and_not_taken_out(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let engine = engine();
            let table = &engine.table;
            let sessions: Vec<_> = (0..OWNERS.len())
                .map(|_| table.block(String::new(), Aftermath::Close).expect("there are numbers"))
                .collect();
            // Handle, owner, and whether it is of that owner's session.
            let mut model: Vec<(Handle, usize, bool)> = Vec::new();
            let mut ended = [false; OWNERS.len()];
            for step in steps {
                match step {
                    Step::Add(owner, in_session) => {
                        let session = in_session.then_some(&sessions[owner]);
                        match place(&engine, OWNERS[owner], session) {
                            Ok(socket) => model.push((socket.handle(), owner, in_session)),
                            Err(error) => {
                                assert!(matches!(error, Error::SessionExpired), "{error}");
                                assert!(in_session && ended[owner]);
                            }
                        }
                    }
                    Step::Remove(_) if model.is_empty() => {}
                    Step::Remove(index) => {
                        let (handle, owner, _) = model.swap_remove(index.index(model.len()));
                        assert!(table.get(handle, OWNERS[1 - owner]).is_err());
                        assert!(table.remove(handle, OWNERS[1 - owner]).is_err());
                        let socket = table.remove(handle, OWNERS[owner]).expect("it is there");
                        drop(engine.close(socket, Ended::Closed));
                    }
                    Step::EndSession(owner) => {
                        ended[owner] = true;
                        let removed =
                            table.remove_session(&sessions[owner], OWNERS[owner], Aftermath::Close);
                        let mut gone = 0;
                        model.retain(|(_, of, in_session)| {
                            let goes = *of == owner && *in_session;
                            gone += usize::from(goes);
                            !goes
                        });
                        assert_eq!(removed.len(), gone);
                    }
                }
                assert_eq!(table.len(), model.len());
                assert_eq!(table.all().len(), model.len());
                assert_eq!(table.taken.load(Ordering::Relaxed), model.len());
                for (owner, session) in sessions.iter().enumerate() {
                    let of = model.iter().filter(|(_, of, _)| *of == owner);
                    let in_session = of.clone().filter(|(_, _, in_session)| *in_session);
                    assert_eq!(session.sockets(), in_session.count());
                    let mut handles: Vec<_> = of.map(|(handle, ..)| *handle).collect();
                    handles.sort_unstable();
                    let (page, more) = table.page(OWNERS[owner], Handle(0), 100);
                    let listed: Vec<_> = page.iter().map(|socket| socket.handle()).collect();
                    assert_eq!((listed, more), (handles, false));
                }
            }
        });
    }
}

#[tokio::test]
async fn a_session_counts_its_sockets_without_the_lock_of_everybodys() {
    let engine = engine();
    let session = engine
        .table
        .block(String::new(), Aftermath::Close)
        .expect("a block");
    let _socket = place(&engine, OWNERS[0], Some(&session)).expect("there is room");
    let entries = engine.table.lock();
    let counting = Arc::clone(&session);
    assert_eq!(
        thread::spawn(move || counting.sockets()).join().ok(),
        Some(1)
    );
    drop(entries);
}

#[test]
fn no_handle_is_beyond_what_json_can_tell_exactly() {
    let mut entries = Entries {
        next: 1,
        end: BLOCK,
        next_block: BLOCK,
        sockets: HashMap::default(),
        len: 0,
    };
    // The numbers of the table's own go on in a block of their own, which is nobody else's.
    entries.next = entries.end;
    let session = entries.next_block().expect("there are numbers");
    let own = entries.next_handle().expect("there are numbers");
    assert_eq!(own, Handle(session + BLOCK));
    assert_eq!(entries.next_block().ok(), Some(own.0 + BLOCK));

    entries.next_block = MOST_HANDLES - BLOCK;
    let last = entries.next_block().expect("there are numbers");
    assert!(last + BLOCK - 1 < MOST_HANDLES);
    let none = entries.next_block().expect_err("they are used up");
    assert!(matches!(none, Error::HandlesUsedUp), "{none}");
    entries.next = entries.end;
    assert!(entries.next_handle().is_err());
    // At a thousand sessions a second they last for six days.
    const { assert!(MOST_HANDLES / BLOCK > 500_000_000) };
    assert!(entries.next_handle().is_err());
}

#[tokio::test]
async fn a_claim_in_a_session_that_is_over_says_so() {
    let engine = engine();
    let session = engine
        .table
        .block(String::new(), Aftermath::Close)
        .expect("a block");
    let first = session.first();
    drop(session.claim(first).expect("it is free"));
    session.end(Aftermath::Close);
    let over = session.claim(first).expect_err("it is over");
    assert!(matches!(over, Error::SessionExpired), "{over}");
}
