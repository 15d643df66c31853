//! Random sequences of calls that do not wait: whatever is done to a few sockets, the daemon answers what the kernel answers.

use farsock_client::Address;
use libc::{
    MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_WAITFORONE, POLLIN, POLLOUT,
    POLLPRI, POLLRDHUP, SO_ERROR, SO_KEEPALIVE, SO_OOBINLINE, SO_PASSCRED, SO_RCVLOWAT,
    SO_REUSEADDR, SO_TYPE, SOL_SOCKET,
};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::{
    call::{Call, Kind, Slot},
    compare::{self, compare},
    kinds::*,
    script::{Script, out},
};

/// Without MPTCP, whose subflows are set up and ended by workers that keep their own time.
const KINDS: [Kind; 7] = [
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX_STREAM,
    UNIX_DGRAM,
    UNIX_SEQPACKET,
];

/// Sockets of a sequence: three that are there from the beginning, and one more for what is accepted.
const SOCKETS: usize = 4;

/// Something to do with a socket, and often with another one.
#[derive(Clone, Debug)]
enum Deed {
    Open,
    Bind,
    Listen(i32),
    Accept,
    Connect,
    Dissolve,
    Send(Vec<u8>, i32),
    SendTo(Vec<u8>),
    SendMany(Vec<Vec<u8>>),
    Recv(usize, i32),
    RecvFrom(usize, i32),
    RecvMany(usize, i32),
    Shutdown(i32),
    Close,
    Abort,
    SockName,
    PeerName,
    Set(i32, i32),
    Get(i32),
    Poll,
}

fn deed() -> impl Strategy<Value = Deed> {
    let payload = || prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..200)];
    let send_flags = prop_oneof![6 => Just(0), 1 => Just(MSG_OOB), 1 => Just(MSG_DONTWAIT)];
    let receive_flags = || {
        let one = select(vec![
            MSG_PEEK,
            MSG_TRUNC,
            MSG_WAITALL,
            MSG_OOB,
            MSG_DONTWAIT,
        ]);
        prop_oneof![4 => Just(0), 3 => one, 1 => Just(MSG_PEEK | MSG_WAITALL)]
    };
    let length = || prop_oneof![1 => Just(0usize), 5 => 1..300usize];
    let options = vec![
        SO_KEEPALIVE,
        SO_OOBINLINE,
        SO_REUSEADDR,
        SO_RCVLOWAT,
        SO_PASSCRED,
    ];
    prop_oneof![
        2 => Just(Deed::Open),
        3 => Just(Deed::Bind),
        3 => (-1..4i32).prop_map(Deed::Listen),
        4 => Just(Deed::Accept),
        6 => Just(Deed::Connect),
        1 => Just(Deed::Dissolve),
        6 => (payload(), send_flags).prop_map(|(data, flags)| Deed::Send(data, flags)),
        3 => payload().prop_map(Deed::SendTo),
        2 => prop::collection::vec(payload(), 1..4).prop_map(Deed::SendMany),
        6 => (length(), receive_flags()).prop_map(|(length, flags)| Deed::Recv(length, flags)),
        3 => (length(), receive_flags()).prop_map(|(length, flags)| Deed::RecvFrom(length, flags)),
        2 => (1..4usize, select(vec![0, MSG_WAITFORONE, MSG_PEEK]))
            .prop_map(|(count, flags)| Deed::RecvMany(count, flags)),
        2 => (0..3i32).prop_map(Deed::Shutdown),
        1 => Just(Deed::Close),
        1 => Just(Deed::Abort),
        1 => Just(Deed::SockName),
        1 => Just(Deed::PeerName),
        2 => (select(options), -1..4i32).prop_map(|(option, value)| Deed::Set(option, value)),
        1 => select(vec![SO_ERROR, SO_TYPE, SO_RCVLOWAT]).prop_map(Deed::Get),
        3 => Just(Deed::Poll),
    ]
}

fn sequences() -> impl Strategy<Value = Script> {
    let steps = prop::collection::vec((deed(), 0..SOCKETS, 0..SOCKETS), 5..25);
    (select(KINDS.to_vec()), any::<bool>(), steps).prop_map(|(kind, ready, steps)| {
        let kind = kind.nonblocking();
        let mut script = Script::default();
        let slots: Vec<Slot> = (0..SOCKETS).map(|_| script.slot()).collect();
        for slot in &slots[..3] {
            open(&mut script, kind, *slot);
        }
        if ready {
            // Chance alone seldom brings two sockets together.
            connect(&mut script, kind, &slots);
        }
        for (deed, on, other) in steps {
            act(&mut script, kind, deed, slots[on], slots[other], slots[3]);
        }
        // Whatever came of it, and whatever is left in them.
        for slot in slots {
            act(&mut script, kind, Deed::Poll, slot, slot, slot);
            act(&mut script, kind, Deed::Recv(300, 0), slot, slot, slot);
        }
        script
    })
}

/// The second socket connects with the first: the fourth is the accepted one, if the kind has connections.
fn connect(script: &mut Script, kind: Kind, slots: &[Slot]) {
    for slot in &slots[..2] {
        let address = script.local(kind);
        script.bind(*slot, address).either();
    }
    script.listen(slots[0], 2).either();
    script.connect(slots[1], slots[0]).either();
    let accept = Call::Accept {
        listener: slots[0],
        nonblocking: true,
    };
    script.call(accept).makes(&[slots[3]]).either();
}

fn open(script: &mut Script, kind: Kind, slot: Slot) {
    script.call(Call::Socket(kind)).makes(&[slot]);
    if kind.domain != libc::AF_UNIX && kind.kind == libc::SOCK_STREAM {
        // Nagle's delay ends with an acknowledgement, or with a timer: both worlds would be right.
        script
            .set(slot, libc::SOL_TCP, libc::TCP_NODELAY, 1)
            .either();
    }
}

fn act(script: &mut Script, kind: Kind, deed: Deed, on: Slot, other: Slot, accepted: Slot) {
    let step = match deed {
        Deed::Open => {
            // The number of a socket that is still open would be lost with it.
            script.close(on).either();
            return open(script, kind, on);
        }
        Deed::Bind => {
            let address = script.local(kind);
            script.bind(on, address)
        }
        Deed::Listen(backlog) => script.listen(on, backlog),
        Deed::Accept => {
            script.close(accepted).either();
            let step = script.call(Call::Accept {
                listener: on,
                nonblocking: true,
            });
            step.makes(&[accepted])
        }
        Deed::Connect => script.connect(on, other),
        Deed::Dissolve => script.connect(on, Address::Unspecified),
        Deed::Send(data, flags) => script.send(on, data).flags(flags),
        Deed::SendTo(data) => script.send_to(on, data, other),
        Deed::SendMany(messages) => {
            script.send_messages(on, messages.into_iter().map(out).collect())
        }
        Deed::Recv(length, flags) => script.recv(on, length).flags(flags),
        Deed::RecvFrom(length, flags) => script.recv_from(on, length).flags(flags),
        Deed::RecvMany(count, flags) => script.recv_messages(on, count).flags(flags),
        Deed::Shutdown(how) => script.shutdown(on, how),
        Deed::Close => script.close(on),
        Deed::Abort => script.abort(on),
        Deed::SockName => script.sock_name(on),
        Deed::PeerName => script.peer_name(on),
        Deed::Set(option, value) => script.set(on, SOL_SOCKET, option, value),
        Deed::Get(option) => script.get(on, SOL_SOCKET, option),
        Deed::Poll => {
            let events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;
            script.poll(&[(on, events), (other, events)])
        }
    };
    step.either();
}

/// `PROPTEST_CASES` raises the number of sequences.
#[test]
fn random_sequences_are_answered_as_the_kernel_answers_them() {
    let config = if std::env::var_os("PROPTEST_CASES").is_some() {
        Config::default()
    } else {
        Config::with_cases(48)
    };
    // What was found is kept as a case, by a name.
    let config = Config {
        failure_persistence: None,
        ..config
    };
    let runtime = compare::runtime();
    let (daemon, client) = runtime.block_on(async {
        let daemon = farsock_daemon::embedded();
        let client = compare::connect(&daemon).await;
        (daemon, client)
    });
    let outcome = TestRunner::new(config).run(&sequences(), |script| {
        let mut difference = None;
        // Segments on the loopback arrive at once, unless the machine is so busy that the kernel puts them off. A difference
        // that is the daemon's shows every time.
        for _ in 0..3 {
            match runtime.block_on(compare(&client, &script)) {
                Ok(()) => return Ok(()),
                Err(report) => difference = Some(report),
            }
        }
        Err(TestCaseError::fail(difference.unwrap_or_default()))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(daemon.shutdown());
}
