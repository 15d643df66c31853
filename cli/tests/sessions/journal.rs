//! The journal: beside the demo it reads like strace.

use crate::shell::{Shell, text};

#[test]
fn beside_the_demo_the_journal_shows_every_call_in_order() {
    let shell = Shell::start();
    let mut journal = shell.start_command("journal --follow --payload 64");
    journal.until_note("attached");
    let demo = shell.run("demo");
    assert_eq!(demo.status.code(), Some(0), "{}", text(&demo.stderr));
    // The daemon's end ends it, after all that happened before.
    shell.drain();
    let journal = journal.ok();

    let demo = text(&demo.stdout);
    let demo: Vec<Call<'_>> = demo.lines().filter_map(Call::of_demo).collect();
    let seen: Vec<Call<'_>> = journal.lines().map(Call::of_journal).collect();
    assert!(demo.len() > 60, "{demo:?}");
    assert_eq!(seen, demo);
    for part in [
        "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 1 <0.",
        "bind(1, 127.0.0.1:0) = 0 (127.0.0.1:",
        "\"hello over TCP\", 14, 0) = 14 <0.",
        "\"hello over TCP\", 14, MSG_WAITALL) = 14 <0.",
        "poll([{fd=3, events=POLLIN}], 1, 10000) = 1 ({fd=3, revents=POLLIN}) <0.",
        "shutdown(2, SHUT_WR) = 0 <0.",
        "= -1 ECONNREFUSED (Connection refused) <0.",
        "MSG_TRUNC) <0.",
        "socketpair(AF_UNIX, SOCK_SEQPACKET, 0) = 0 ([",
    ] {
        assert!(journal.contains(part), "no {part} in:\n{journal}");
    }
}

#[test]
fn without_follow_the_journal_ends_after_as_many_records_as_were_asked_for() {
    let shell = Shell::start();
    let mut journal = shell.start_command("journal -n 2 --handle 2 -o json");
    assert_eq!(journal.said(), r#"{"note":"attached"}"#);
    shell.ok("socket udp");
    shell.ok("socket tcp");
    shell.ok("listen 2 16");
    let journal = journal.ok();
    let records: Vec<serde_json::Value> = journal
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is a value"))
        .collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["verb"], "CreateSocket");
    assert_eq!(records[0]["result"], "= 2");
    assert_eq!(records[1]["call"], "listen(2, 16)");
    assert_eq!(records[1]["handle"], 2);
    assert_eq!(records[1]["errno_name"], serde_json::Value::Null);
}

#[test]
fn with_a_session_the_journal_shows_that_ones_operations_alone() {
    let shell = Shell::start();
    let id = shell.ok("session open");
    let mut journal = shell.start_command(&format!("journal -n 1 --session {id}"));
    journal.until_note("attached");
    shell.ok("socket udp");
    let handle = shell.ok(&format!("socket tcp --session {id}"));
    let line = journal.ok();
    let expected = format!(
        "[{}] socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = {handle} <",
        &id[..8]
    );
    assert!(line.contains(&expected), "{line}");
}

#[test]
fn bulk_data_is_a_line_when_it_is_opened_and_one_with_what_it_moved() {
    let shell = Shell::start();
    let mut journal = shell.start_command("journal --follow");
    journal.until_note("attached");
    let mut listener = shell.start_piped("nc -v -l 127.0.0.1 0");
    let note = listener.note();
    let at = note.strip_prefix("listening on ").expect(&note);
    let mut client = shell.start_piped(&format!("nc {}", at.replace(':', " ")));
    client.give("hello\n");
    assert_eq!(listener.answer(), "hello");
    listener.give("hello yourself\n");
    assert_eq!(client.answer(), "hello yourself");
    drop((client.take_stdin(), listener.take_stdin()));
    client.ok();
    listener.ok();
    shell.drain();

    let journal = journal.ok();
    let count = |part: &str| journal.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("] stream_open("), 2, "{journal}");
    assert_eq!(count("] stream_end("), 2, "{journal}");
    for part in [
        ") = 0 <0.",
        "(6 sent until SHUT_WR, 15 received until EOF",
        "(15 sent until SHUT_WR, 6 received until EOF",
    ] {
        assert!(count(part) > 0, "no {part} in:\n{journal}");
    }
}

#[test]
fn the_end_of_its_session_ends_the_journal_after_the_sessions_last_operation() {
    let shell = Shell::start();
    let id = shell.ok("session open");
    let mut journal = shell.start_command(&format!("journal --follow --session {id}"));
    journal.until_note("attached");
    let handle = shell.ok(&format!("socket udp --session {id}"));
    let recv = shell.start_command(&format!("recv {handle} --session {id}"));
    shell.until_waiting(handle.parse().unwrap(), 1);
    shell.ok(&format!("session close {id}"));
    recv.fails(4);
    let mut lines = vec![journal.answer()];
    while !lines.last().unwrap().contains(" recv(") {
        lines.push(journal.answer());
    }
    let last = lines.pop().unwrap();
    assert!(last.contains("= SESSION_EXPIRED"), "{last}");
    let stderr = journal.fails(4);
    let said = "farsock: journal: SESSION_EXPIRED: the session is over";
    assert!(stderr.starts_with(said), "{stderr}");

    let stderr = shell.fails(4, &format!("journal --session {id}"));
    assert!(stderr.contains("SESSION_NOT_FOUND"), "{stderr}");
}

#[test]
fn an_interrupt_ends_the_journal_in_good_order() {
    let shell = Shell::start();
    let mut journal = shell.start_command("journal -f");
    journal.until_note("attached");
    journal.interrupt();
    assert_eq!(journal.ok(), "");
}

/// What a call is known by in the demo's notation and in the journal's: name, handle, and what it returned.
#[derive(Debug, PartialEq)]
struct Call<'a> {
    name: &'a str,
    handle: &'a str,
    returned: Vec<&'a str>,
}

impl<'a> Call<'a> {
    /// "listen(1, 16) = 0"; none for a title.
    fn of_demo(line: &'a str) -> Option<Self> {
        let (call, returned) = line.rsplit_once(" = ")?;
        Some(Self::new(call, returned))
    }

    /// "16:40:01.123456 [uid 0] listen(1, 16) = 0 <0.000012>".
    fn of_journal(line: &'a str) -> Self {
        let (_, rest) = line.split_once("] ").expect("a prefix");
        let (call, returned) = rest.rsplit_once(") = ").expect("a result");
        Self::new(call, returned)
    }

    fn new(call: &'a str, returned: &'a str) -> Self {
        let (name, arguments) = call.split_once('(').expect("arguments");
        let digits = |text: &'a str| {
            let end = text.find(|c: char| !c.is_ascii_digit());
            &text[..end.unwrap_or(text.len())]
        };
        let handle = digits(arguments.trim_start_matches("[{fd="));
        let words = if returned.starts_with('-') { 2 } else { 1 };
        Self {
            name,
            handle,
            returned: returned.split(' ').take(words).collect(),
        }
    }
}
