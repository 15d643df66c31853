//! Runs sequences in both worlds and compares what came of each step.

use std::{
    collections::HashMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use farsock_client::Client;

use crate::{
    call::{Call, Kind, Slot},
    direct::{self, Direct},
    outcome::{Failure, Outcome, Value, text},
    remote::Remote,
    script::{Action, Expected, Script, Step},
    theme::{Need, Theme},
    world::{self, Place, World},
};

/// Runs every case of a theme; panics with the transcripts of those that differ.
pub(crate) fn check(theme: &Theme) {
    let runtime = runtime();
    let failures: Vec<String> = runtime.block_on(async {
        let daemon = farsock_daemon::embedded();
        let client = connect(&daemon).await;
        let mut failures = Vec::new();
        // One case or some, by a part of their names.
        let only = std::env::var("FARSOCK_CASE").unwrap_or_default();
        for case in theme.cases.iter().filter(|case| case.name.contains(&only)) {
            if let Some(reason) = case.needs.and_then(missing) {
                eprintln!("skipped: {}: {reason}", case.name);
                continue;
            }
            if let Err(report) = compare(&client, &case.script).await {
                failures.push(format!("{}\n{report}", case.name));
            }
        }
        let left = client.sockets().await.expect("the daemon answers");
        if failures.is_empty() && !left.is_empty() {
            failures.push(format!("sockets are left in the daemon: {left:?}"));
        }
        daemon.shutdown().await;
        failures
    });
    assert!(
        failures.is_empty(),
        "{} of {} cases differ\n\n{}",
        failures.len(),
        theme.cases.len(),
        failures.join("\n")
    );
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
}

pub(crate) async fn connect(daemon: &farsock_daemon::Embedded) -> Client {
    // Its first question, GetHost, opens and closes packet sockets, which takes its time on a busy machine.
    Client::builder()
        .connect_timeout(world::DEADLINE)
        .connect_with(daemon.connector())
        .await
        .expect("the daemon in this process can be reached")
}

/// Whether a bind or a connect was given a port that another socket of the sequence had before: the kernel may choose one again that was
/// closed meanwhile, and ports are compared by when each was first seen.
fn has_a_port_again(script: &Script, outcomes: &[Outcome]) -> bool {
    // Each port, and the call that first had it, up to its socket.
    let mut seen: HashMap<String, String> = HashMap::new();
    script.steps.iter().zip(outcomes).any(|(step, outcome)| {
        let outcome = text(outcome);
        let (Action::Call(call), Some((_, port))) = (&step.action, outcome.rsplit_once(":60"))
        else {
            return false;
        };
        let call = format!("{call:?}");
        let is_chosen = call.starts_with("Bind")
            || (call.starts_with("Connect") && call.contains("address of"));
        let socket = call.split(['(', ',']).nth(1).unwrap_or_default();
        let first = seen
            .entry(port.to_owned())
            .or_insert_with(|| socket.to_owned());
        is_chosen && first != socket
    })
}

/// Runs the sequence in both worlds, one after the other; tells where they differ, or where the oracle's world is not what the
/// case says.
pub(crate) async fn compare(client: &Client, script: &Script) -> Result<(), String> {
    direct::keep_time_stamps_on();
    let mut expected = run(&mut Direct::new(Place::new()), script).await;
    let mut actual = run(&mut Remote::new(client.clone(), Place::new()), script).await;
    for _ in 0..3 {
        if !has_a_port_again(script, &expected) && !has_a_port_again(script, &actual) {
            break;
        }
        expected = run(&mut Direct::new(Place::new()), script).await;
        actual = run(&mut Remote::new(client.clone(), Place::new()), script).await;
    }

    let mut report = String::new();
    let mut wrong = false;
    for (index, step) in script.steps.iter().enumerate() {
        let (Some(expected), Some(actual)) = (expected.get(index), actual.get(index)) else {
            break;
        };
        let line = match &step.action {
            Action::Call(call) => format!("{call:?}"),
            Action::Start(call) => format!("begin {call:?}"),
            Action::Waits(begun) => format!("{begun} waits"),
            Action::Finish(begun) => format!("end of {begun}"),
            other => format!("{other:?}"),
        };
        let mut line = shortened(line);
        let _ = write!(line, " = {}", text(expected));
        if !is_as_said(step, expected) {
            wrong = true;
            let given = step.gives.as_deref().unwrap_or_default();
            let _ = write!(
                line,
                "\n      but the case says {:?} {given}",
                step.expected
            );
        }
        if expected != actual {
            wrong = true;
            let _ = write!(line, "\n      but the daemon: {}", text(actual));
        }
        let _ = writeln!(report, "  {index:2} {line}");
        if wrong {
            break;
        }
    }
    if wrong { Err(report) } else { Ok(()) }
}

/// Whether the oracle's answer is what the case says it is. What it says of a call that is only begun holds for its end.
fn is_as_said(step: &Step, outcome: &Outcome) -> bool {
    if matches!(step.action, Action::Start(_)) {
        return outcome.is_ok();
    }
    let given = step.gives.as_ref();
    given.is_none_or(|given| text(outcome).contains(given))
        && match (&step.expected, outcome) {
            (Expected::Anything, Ok(_) | Err(Failure::Errno(_))) | (Expected::Success, Ok(_)) => {
                true
            }
            (Expected::Errno(name), Err(Failure::Errno(actual))) => name == actual,
            _ => false,
        }
}

/// Runs the sequence up to its first answer that no kernel gives.
async fn run(world: &mut impl World, script: &Script) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (index, step) in script.steps.iter().enumerate() {
        let outcome = match &step.action {
            Action::Call(call) => world.call(call.clone(), &step.makes).await,
            Action::Start(call) => {
                world.start(index, call.clone()).await;
                Ok(Value::Done)
            }
            Action::Waits(begun) => {
                let Action::Start(call) = &script.steps[*begun].action else {
                    panic!("step {begun} begins nothing");
                };
                match world.waits(*begun, call).await {
                    Ok(()) => Ok(Value::Done),
                    Err(why) => Err(Failure::Other(why)),
                }
            }
            Action::Finish(begun) => world.finish(*begun, &step.makes).await,
            Action::Fill(socket) => fill(world, *socket).await,
            Action::Queue(listener, connections) => queue(world, *listener, *connections).await,
            Action::Drain(socket, last) => drain(world, *socket, last).await,
        };
        let ended = matches!(outcome, Err(Failure::Other(_)));
        outcomes.push(outcome);
        if ended {
            break;
        }
    }
    world.end().await;
    outcomes
}

/// Sends zeros until the socket has stayed full for a while: what is on its way to the peer makes room once more.
async fn fill(world: &mut impl World, socket: Slot) -> Outcome {
    // Buffers are small: this many sends never fit.
    for _ in 0..10_000 {
        let send = Call::Send {
            socket,
            data: [0; 4096].into(),
            flags: libc::MSG_DONTWAIT,
        };
        match world.call(send, &[]).await {
            Ok(_) => continue,
            Err(Failure::Errno(name)) if name == "EAGAIN" => {}
            Err(other) => return Err(other),
        }
        let poll = Call::Poll {
            entries: vec![(socket, libc::POLLOUT)],
            timeout: Some(Duration::from_millis(20)),
        };
        if world.call(poll, &[]).await? == Value::Ready(Vec::new()) {
            return Ok(Value::Done);
        }
    }
    Err(Failure::Other("the socket does not fill".to_owned()))
}

/// Waits until the listener has so many connections.
async fn queue(world: &mut impl World, listener: Slot, connections: u64) -> Outcome {
    let limit = Instant::now() + world::DEADLINE;
    while Instant::now() < limit {
        match world.call(Call::Info(listener), &[]).await? {
            Value::Info(info) if info.connections == Some(connections) => return Ok(Value::Done),
            _ => world::a_moment().await,
        }
    }
    Err(Failure::Other(format!(
        "there are never {connections} connections"
    )))
}

/// Receives zeros until `last` has come, or the end.
async fn drain(world: &mut impl World, socket: Slot, last: &[u8]) -> Outcome {
    let mut rest = Vec::new();
    loop {
        let receive = Call::Recv {
            socket,
            length: 65_536,
            flags: 0,
        };
        let Value::Received(messages) = world.call(receive, &[]).await? else {
            return Err(Failure::Other("a receive did not receive".to_owned()));
        };
        let Some(message) = messages.first() else {
            return Err(Failure::Other("a receive received nothing".to_owned()));
        };
        rest.extend(message.data.iter().filter(|byte| **byte != 0));
        if message.end_of_stream || (!last.is_empty() && rest == last) {
            break;
        }
    }
    match rest == last {
        true => Ok(Value::Done),
        false => Err(Failure::Other(format!(
            "received {:?}",
            String::from_utf8_lossy(&rest)
        ))),
    }
}

/// Why this machine cannot run a case of this need.
pub(crate) fn missing(need: Need) -> Option<String> {
    let root = direct::user_and_group().0 == 0;
    match need {
        Need::Root => (!root).then(|| "needs root".to_owned()),
        Need::NoRoot => root.then(|| "root may do this".to_owned()),
        Need::Kind(kind) => {
            let Kind {
                domain,
                kind,
                protocol,
                ..
            } = kind;
            let exists = direct::creates(domain, kind, protocol);
            (!exists).then(|| format!("no socket of {domain}, {kind}, {protocol} here"))
        }
        Need::Ipv6 => std::net::UdpSocket::bind("[::1]:0")
            .err()
            .map(|error| format!("no IPv6 loopback: {error}")),
    }
}

fn shortened(mut line: String) -> String {
    const LENGTH: usize = 200;
    if let Some((end, _)) = line.char_indices().nth(LENGTH) {
        line.truncate(end);
        line.push('…');
    }
    line
}
