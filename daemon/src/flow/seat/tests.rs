//! Who may open a stream, and what becomes of the one before.

use std::{
    os::fd::AsFd as _,
    sync::atomic::AtomicUsize,
    task::{Wake, Waker},
};

use farsock_proto::socket::{Domain, Protocol, SocketType};

use super::*;
use crate::{
    engine::{Allowed, Engine, EngineLimits, Owner},
    sys,
};

/// An opening under that id, as the client's attempt of that number.
fn opening(stream_id: u64, attempt: u64) -> Opening {
    Opening {
        stream_id,
        attempt,
        received: None,
        window: 0,
    }
}

fn take(seat: &Seat, socket: &Socket, stream_id: u64, attempt: u64) -> Result<Arc<Line>, Error> {
    seat.take(socket, opening(stream_id, attempt), |_| Ok(()))
        .map(|(line, ())| line)
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn under_its_own_id_a_stream_is_taken_over_and_under_no_other() {
    with_socket(|socket| {
        let seat = Seat::default();
        assert!(seat.is_free());
        let first = take(&seat, socket, 7, 1).expect("nobody has it");
        assert!(!seat.is_free() && !first.is_taken() && !first.took_over());
        for (stream_id, attempt) in [(8, 1), (0, 0), (0, 1)] {
            let refused = take(&seat, socket, stream_id, attempt);
            assert!(matches!(refused, Err(Error::StreamInUse(_))));
        }
        let wakes = Arc::new(Wakes::default());
        first.listen(&Waker::from(Arc::clone(&wakes)));
        let second = take(&seat, socket, 7, 2).expect("it is its own");
        assert!(first.is_taken() && !second.is_taken() && second.took_over());
        assert_eq!(wakes.count(), 1);
        assert_eq!((first.number(), second.number()), (1, 2));
        // Who was taken over from leaves nothing.
        seat.leave(&first, Some(socket), || true);
        assert!(take(&seat, socket, 8, 1).is_err());
        seat.leave(&second, Some(socket), || true);
        assert!(seat.is_free());
        let third = take(&seat, socket, 8, 1).expect("nobody has it");
        assert!(!third.took_over() && third.number() == 3);
    });
}

#[test]
fn one_without_an_id_is_never_taken_over() {
    with_socket(|socket| {
        let seat = Seat::default();
        take(&seat, socket, 0, 0).expect("nobody has it");
        let refused = take(&seat, socket, 0, 0);
        assert!(matches!(refused, Err(Error::StreamInUse(_))));
    });
}

#[test]
fn an_attempt_that_is_not_above_those_seen_under_its_id_was_delayed() {
    with_socket(|socket| {
        let seat = Seat::default();
        take(&seat, socket, 7, 3).expect("nobody has it");
        for attempt in [1, 3] {
            let delayed = take(&seat, socket, 7, attempt);
            assert!(matches!(delayed, Err(Error::StreamTaken(_))), "{attempt}");
        }
        // Who does not count its attempts is never late, and forgets none.
        take(&seat, socket, 7, 0).expect("it is its own");
        assert!(take(&seat, socket, 7, 3).is_err());
        let line = take(&seat, socket, 7, 4).expect("it is its own");
        // Nor is it forgotten when it leaves; another id has attempts of its own.
        seat.leave(&line, Some(socket), || true);
        let delayed = take(&seat, socket, 7, 4);
        assert!(matches!(delayed, Err(Error::StreamTaken(_))));
        let line = take(&seat, socket, 8, 2).expect("nobody has it");
        seat.leave(&line, Some(socket), || true);
        take(&seat, socket, 7, 1).expect("nobody has it");
        assert!(take(&seat, socket, 7, 1).is_err());
    });
}

#[test]
fn an_opening_that_cannot_go_on_leaves_all_as_it_was() {
    with_socket(|socket| {
        let seat = Seat::of_bytes();
        let fail = |seat: &Seat, stream_id, attempt| {
            let failed = seat.take(socket, opening(stream_id, attempt), |_| {
                Err::<(), _>(Error::StreamInUse(socket.handle()))
            });
            assert!(failed.is_err());
        };
        fail(&seat, 7, 1);
        assert!(seat.is_free() && socket.hidden_low_water().is_none());
        let line = take(&seat, socket, 7, 1).expect("nobody has it");
        fail(&seat, 7, 2);
        assert!(!line.is_taken() && !seat.is_free());
        assert!(socket.hidden_low_water().is_some());
        let again = take(&seat, socket, 7, 2).expect("it is its own");
        assert_eq!(again.number(), 2);
    });
}

#[test]
fn the_socket_is_kept_while_somebody_has_the_stream_or_it_holds_something() {
    with_socket(|socket| {
        let seat = Seat::of_bytes();
        let line = take(&seat, socket, 7, 1).expect("nobody has it");
        assert!(socket.hidden_low_water().is_some());
        seat.settle(Some(socket), || true);
        assert!(!seat.is_free(), "somebody has it");
        seat.leave(&line, Some(socket), || false);
        assert!(!seat.is_free(), "it holds something");
        assert!(socket.hidden_low_water().is_some());
        seat.settle(Some(socket), || false);
        assert!(!seat.is_free());
        seat.settle(Some(socket), || true);
        assert!(seat.is_free() && socket.hidden_low_water().is_none());
        seat.settle(Some(socket), || unreachable!("it is free"));
        // A stream of messages takes them as they come.
        take(&Seat::default(), socket, 7, 1).expect("nobody has it");
        assert!(socket.hidden_low_water().is_none());
    });
}

#[test]
fn there_is_news_once_each_time_and_whoever_sends_is_woken_for_it() {
    let (line, wakes) = (Line::default(), Arc::new(Wakes::default()));
    assert!(!line.take_news());
    line.listen(&Waker::from(Arc::clone(&wakes)));
    line.tell();
    assert_eq!(wakes.count(), 1);
    assert!(line.take_news() && !line.take_news());
}

/// Runs `test` with a stream socket.
fn with_socket(test: impl FnOnce(&Socket)) {
    let limits = EngineLimits {
        max_handles: 100,
        max_waiting: 16,
        allowed: Allowed::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let engine = Engine::new(limits).expect("the kernel has descriptors to give");
        let fd = sys::socket::create(Domain::Unix, SocketType::Stream, Protocol::Default);
        let fd = fd.expect("a socket");
        let kind = sys::socket::kind(fd.as_fd()).expect("it is open");
        let room = engine.table.reserve().expect("there is room");
        let owner = Owner::Uid(1);
        let socket = engine.place(room, None, |handle| {
            Socket::new(&engine, handle, (owner, None), fd, kind, false)
        });
        test(&socket.expect("there are numbers"));
    });
}
