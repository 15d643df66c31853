//! What is said of items and failures, and when: without a socket.

use super::*;

/// How often something was tried and how often the client heard of it, if it fails for that long with these errors in turn.
fn fails(
    failing: &mut Failing,
    from: Instant,
    time: Duration,
    errors: &[&'static str],
) -> (u32, u32) {
    let (mut now, mut tried, mut said) = (from, 0, 0);
    while now < from + time {
        let longest = now + REST.1;
        if let Some(until) = failing.rests_until(now) {
            assert!(until <= longest, "what ends it is found soon");
            now = until;
            continue;
        }
        let error = errors[tried as usize % errors.len()];
        said += u32::from(!failing.is_said_already(error, now));
        tried += 1;
    }
    (tried, said)
}

#[test]
fn an_error_that_stays_is_tried_less_and_less_often_and_said_less_often_still() {
    let now = Instant::now();
    let mut failing = Failing::default();
    let (tried, said) = fails(&mut failing, now, Duration::from_secs(60), &["EMFILE"]);
    assert!((60 * 12..60 * 13 + 10).contains(&tried), "{tried}");
    assert!((30..40).contains(&said), "{said}");
    // The first is said and followed by a try at once, as one that an ICMP message brought.
    let mut failing = Failing::default();
    assert!(!failing.is_said_already("ECONNREFUSED", now));
    assert_eq!(failing.rests_until(now), None);
}

#[test]
fn another_error_is_said_at_once_and_tried_no_more_often() {
    let now = Instant::now();
    let mut failing = Failing::default();
    assert!(!failing.is_said_already("EMFILE", now));
    assert!(!failing.is_said_already("QUOTA_EXCEEDED", now));
    assert_eq!(failing.rests_until(now), Some(now + REST.0));
    let errors = ["EMFILE", "ENFILE"];
    let (tried, _) = fails(&mut failing, now, Duration::from_secs(60), &errors);
    assert!(tried < 60 * 13 + 10, "{tried}");
}

#[test]
fn the_same_error_is_said_again_when_the_silence_is_over() {
    let now = Instant::now();
    let mut failing = Failing::default();
    assert!(!failing.is_said_already("EMFILE", now));
    let over = now + SILENCE.0;
    assert!(failing.is_said_already("EMFILE", over - Duration::from_nanos(1)));
    assert!(!failing.is_said_already("EMFILE", over));
}

/// What an error costs, and an item beside its payload.
const COST: u64 = 100;

fn opening(received: Option<u64>, window: u64) -> Opening {
    Opening {
        stream_id: 1,
        attempt: 0,
        received,
        window,
    }
}

/// A direction that a line has, which grants so much.
fn opened(window: u64) -> (Receiving<u64>, Arc<Line>) {
    let (mut receiving, line) = (Receiving::new(1 << 20, COST), Arc::default());
    let from = receiving.open(&line, opening(None, window), Tally::default());
    assert_eq!(from, Ok(0));
    (receiving, line)
}

fn error(errno: i32) -> Error {
    Call::new("recvmsg").failed(std::io::Error::from_raw_os_error(errno))
}

/// How many are said next, of a socket that has nothing more.
fn said(receiving: &mut Receiving<u64>) -> usize {
    receiving
        .next(|_| Taken::Nothing)
        .map_or(0, |said| said.len())
}

/// Looks at the socket, which has this.
fn take(receiving: &mut Receiving<u64>, taken: Taken<u64>) -> Option<Vec<Arc<Arrived<u64>>>> {
    let mut taken = Some(taken);
    receiving.next(|_| taken.take().unwrap_or(Taken::Nothing))
}

/// The room that the socket is looked at with; none if it is not.
fn room(receiving: &mut Receiving<u64>) -> Option<u64> {
    let mut room = None;
    let nothing = receiving.next(|there_is| {
        room = Some(there_is);
        Taken::Nothing
    });
    assert!(nothing.is_none());
    room
}

#[derive(Default)]
struct Wakes(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[test]
fn items_are_said_in_batches() {
    let (mut receiving, _line) = opened(1 << 20);
    let items = (0..BATCH as u64 + 1).map(|n| (2 * COST, n)).collect();
    let batch = take(&mut receiving, Taken::Items(items)).expect("items");
    assert_eq!(batch.len(), BATCH);
    for (n, item) in batch.iter().enumerate() {
        assert!(matches!(**item, Arrived::Item(item) if item == n as u64));
    }
    assert_eq!(said(&mut receiving), 1);
    assert_eq!(said(&mut receiving), 0);
}

#[test]
fn after_a_break_messages_are_short_until_the_connection_has_carried_a_good_deal() {
    const PAYLOAD: u64 = 1 << 10;
    let (mut receiving, _line) = opened(1 << 20);
    let count = CAREFULLY / PAYLOAD + 20;
    let items = (0..count).map(|n| (PAYLOAD, n)).collect();
    let batch = take(&mut receiving, Taken::Items(items)).map(|said| said.len());
    assert_eq!(batch, Some(BATCH), "nothing was cut yet");

    let line = Arc::default();
    let from = receiving.open(&line, opening(None, 1 << 20), Tally::default());
    assert_eq!(from, Ok(0));
    for _ in 0..32 {
        assert_eq!(said(&mut receiving), 8);
    }
    assert_eq!(said(&mut receiving), 20);

    // Where nothing waits for acknowledgement, nothing was cut either.
    let end = count * PAYLOAD;
    assert!(!receiving.is_empty());
    let from = receiving.open(&line, opening(Some(end), 1 << 20), Tally::default());
    assert_eq!(from, Ok(end));
    assert!(receiving.is_empty());
    let items = (0..20).map(|n| (PAYLOAD, n)).collect();
    let batch = take(&mut receiving, Taken::Items(items)).map(|said| said.len());
    assert_eq!(batch, Some(20));
}

#[test]
fn the_socket_is_looked_at_while_an_error_has_room_and_credit_wakes_who_waits_for_it() {
    let (mut receiving, line) = opened(COST - 1);
    let wakes = Arc::new(Wakes::default());
    line.listen(&Arc::clone(&wakes).into());
    assert_eq!(room(&mut receiving), None);
    assert_eq!(receiving.credit(&line, 0, COST), Ok(()));
    assert_eq!(wakes.count(), 1);
    assert_eq!(room(&mut receiving), Some(COST));
    // Nobody waits for credit now, but for the socket.
    line.listen(&Arc::clone(&wakes).into());
    assert_eq!(receiving.credit(&line, 0, 2 * COST), Ok(()));
    assert_eq!(wakes.count(), 1);
    // What is there may need more room than there is.
    assert!(take(&mut receiving, Taken::NoRoom).is_none());
    assert_eq!(receiving.credit(&line, 0, 3 * COST), Ok(()));
    assert_eq!(wakes.count(), 2);
    assert_eq!(receiving.credit(&line, 1, 3 * COST), Err(OffsetUnknown(1)));
}

#[test]
fn after_an_error_and_what_came_before_it_nothing_is_received_until_it_is_acknowledged() {
    let (mut receiving, _line) = opened(1 << 20);
    let items = take(
        &mut receiving,
        Taken::Items(vec![(COST + 5, 1), (COST + 7, 2)]),
    );
    assert_eq!(items.map(|said| said.len()), Some(2));
    let failed = take(&mut receiving, Taken::Failed(error(libc::ECONNREFUSED)));
    let failed = failed.expect("an error");
    assert!(matches!(&failed[..], [one] if matches!(**one, Arrived::Failed(_))));
    assert_eq!(room(&mut receiving), None);
    let side = |bytes, left| Side {
        bytes,
        items: 2,
        failed: 1,
        left,
        ended: None,
    };
    assert_eq!(receiving.side(), side(12, 3 * COST + 12));
    // Nor when all is said again, after a break.
    let line = Arc::default();
    let from = receiving.open(&line, opening(None, 1 << 20), Tally::default());
    assert_eq!(from, Ok(0));
    assert_eq!(said(&mut receiving), 3);
    assert_eq!(receiving.credit(&line, COST + 5, 1 << 20), Ok(()));
    assert_eq!(room(&mut receiving), None);
    assert_eq!(receiving.side(), side(12, 2 * COST + 7));
    assert_eq!(receiving.credit(&line, 3 * COST + 12, 1 << 20), Ok(()));
    assert!(room(&mut receiving).is_some());
}

#[test]
fn an_error_that_stays_is_not_said_each_time_that_it_comes() {
    let (mut receiving, line) = opened(1 << 20);
    let (mut tried, mut said) = (0, 0);
    let limit = Instant::now() + Duration::from_secs(30);
    while tried == said {
        assert!(tried < 64 && Instant::now() < limit, "said each time");
        let came = receiving.next(|_| {
            tried += 1;
            Taken::Failed(error(libc::EMFILE))
        });
        if came.is_some() {
            said += 1;
            let all = said * COST;
            assert_eq!(receiving.credit(&line, all, all + (1 << 20)), Ok(()));
        }
    }
}

#[test]
fn after_the_last_nothing_is_looked_for_until_it_is_opened_again() {
    let (mut receiving, line) = opened(1 << 20);
    let last = take(&mut receiving, Taken::Last(vec![(COST, 1)]));
    assert_eq!(last.map(|said| said.len()), Some(1));
    assert_eq!(room(&mut receiving), None);
    let from = receiving.open(&line, opening(Some(COST), 1 << 20), Tally::default());
    assert_eq!(from, Ok(COST));
    assert!(room(&mut receiving).is_some());
}

#[test]
fn one_line_has_it_at_a_time_and_knows_what_was_moved_when_it_lost_it() {
    let (mut receiving, first) = opened(1 << 20);
    assert!(receiving.is_held(&first) && first.left_at().is_none());
    let moved = |bytes| Tally {
        received: Side {
            bytes,
            ..Side::default()
        },
        ..Tally::default()
    };
    let second = Arc::default();
    assert_eq!(receiving.open(&second, opening(None, 0), moved(1)), Ok(0));
    assert!(receiving.is_held(&second) && !receiving.is_held(&first));
    assert_eq!(first.left_at(), Some(moved(1)));
    receiving.leave(&first, moved(2));
    assert!(receiving.is_held(&second) && second.left_at().is_none());
    receiving.leave(&second, moved(3));
    assert!(!receiving.is_held(&second));
    assert_eq!(second.left_at(), Some(moved(3)));
    assert_eq!(first.left_at(), Some(moved(1)));
}

/// The ends of the failures that are told next.
fn told(failures: &mut Failures) -> Vec<u64> {
    std::iter::from_fn(|| failures.next())
        .map(|(end, _)| end)
        .collect()
}

#[test]
fn failures_are_told_once_an_opening_until_they_were_heard() {
    let mut failures = Failures::default();
    assert!(failures.is_empty() && !failures.is_untold());
    for end in [10, 20, 30] {
        failures.push(end, error(libc::EMSGSIZE));
    }
    assert!(!failures.is_empty() && failures.is_untold());
    assert_eq!(failures.next().map(|(end, _)| end), Some(10));
    assert_eq!(failures.next().map(|(end, _)| end), Some(20));
    assert!(failures.is_untold());
    // What was never told was not heard, whatever the client says.
    failures.heard(30);
    assert_eq!(told(&mut failures), [30]);
    assert!(!failures.is_untold() && !failures.is_empty());
    failures.again();
    assert!(failures.is_untold());
    // It may be heard before it is told again.
    failures.heard(29);
    assert!(!failures.is_empty());
    failures.heard(30);
    assert!(failures.is_empty() && !failures.is_untold());
    failures.push(40, error(libc::EMSGSIZE));
    assert_eq!(told(&mut failures), [40]);
}

#[test]
fn so_many_failures_are_kept_and_no_more_are_added() {
    let mut failures = Failures::default();
    for end in 1..=Failures::MOST as u64 {
        assert!(!failures.is_full());
        failures.push(end, error(libc::EMSGSIZE));
    }
    assert!(failures.is_full());
    assert_eq!(failures.next().map(|(end, _)| end), Some(1));
    failures.heard(1);
    assert!(!failures.is_full());
}
