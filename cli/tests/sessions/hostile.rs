//! Names, labels and payloads that somebody else chose: nothing of them reaches a terminal as it is, and none makes a line of its own.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Output,
};

use farsock_proto::escape;

use crate::{
    forward::forwarding,
    shell::{Shell, Waiting, text},
};

/// What names and payloads are made of here.
const HOSTILE: [&str; 9] = [
    "\x1b]0;owned\x07\x1b[2J",
    "a\n12:00:00.000000 [uid 0] connect(1, 192.0.2.1:80) = 0 <0.000001>",
    "a\tb\rc",
    "a 127.0.0.1:80 hello",
    "\u{9b}31m\u{85}",
    "\u{202e}gpj.exe\u{2066}\u{200b}",
    "p\u{430}ypal\u{2028}x",
    "back\\slash\\x41\\\\",
    "\x7f\u{feff}\u{e0041}",
];

/// Checks that what a command printed is harmless: tabs alone between cells of -o raw. Returns its stdout.
#[track_caller]
fn harmless(output: &Output, what: &str) -> String {
    for stream in [&output.stdout, &output.stderr] {
        let printed = text(stream);
        let bad = printed
            .chars()
            .find(|&c| !matches!(c, '\n' | '\t') && !escape::is_plain(c));
        assert_eq!(bad, None, "{what:?}: {printed:?}");
    }
    text(&output.stdout)
}

/// Runs a command in each form; what they print.
#[track_caller]
fn in_each_form(shell: &Shell, line: &str) -> [String; 3] {
    ["table", "raw", "json"].map(|form| {
        let line = format!("-o {form} {line}");
        let output = shell.run(&line);
        assert!(output.status.success(), "{line:?}: {output:?}");
        harmless(&output, &line)
    })
}

/// A command that must fail, in each form.
#[track_caller]
fn fails_in_each_form(shell: &Shell, line: &str) {
    for form in ["table", "raw", "json"] {
        let line = format!("-o {form} {line}");
        let output = shell.run(&line);
        assert!(!output.status.success(), "{line:?}: {output:?}");
        harmless(&output, &line);
        assert_eq!(text(&output.stderr).lines().count(), 1, "{line:?}");
    }
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

/// Names of this process's own, since the abstract namespace is everybody's.
fn name(number: usize, of: &str) -> String {
    format!(
        "unix-abstract:{}-{}-{of}",
        HOSTILE[number].replace('\\', "\\\\"),
        std::process::id()
    )
}

#[test]
fn a_name_that_a_peer_chose_is_one_harmless_word_everywhere_and_is_read_back() {
    let shell = Shell::start();
    for number in 0..HOSTILE.len() {
        let listener = shell.ok("socket unix");
        let bound = shell.ok(&format!("bind {listener} '{}'", name(number, "l")));
        assert!(bound.bytes().all(|b| b.is_ascii_graphic()), "{bound:?}");
        shell.ok(&format!("listen {listener}"));
        let [table, raw, json] = in_each_form(&shell, &format!("getsockname {listener}"));
        assert_eq!((table.trim_end(), raw.trim_end()), (&*bound, &*bound));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["address"], bound.as_str());

        for form in ["table", "raw", "json"] {
            let client = shell.ok("socket unix");
            let peer = shell.ok(&format!("bind {client} '{}'", name(number, form)));
            // What was printed is what is read.
            shell.ok(&format!("connect {client} '{bound}'"));
            let accept = shell.run(&format!("-o {form} accept {listener} --timeout 10s"));
            let accepted = harmless(&accept, "accept");
            assert_eq!(lines(&accepted), 1, "{accepted:?}");
            let socket = match form {
                "json" => {
                    let json: serde_json::Value = serde_json::from_str(&accepted).unwrap();
                    assert_eq!(json["peer_address"], peer.as_str());
                    json["handle"].to_string()
                }
                "raw" => accepted.trim().to_owned(),
                _ => {
                    let (socket, printed) = accepted.trim_end().split_once(' ').unwrap();
                    assert_eq!(printed, peer);
                    socket.to_owned()
                }
            };
            let [printed, _, _] = in_each_form(&shell, &format!("getpeername {socket}"));
            assert_eq!(printed.trim_end(), peer);
            in_each_form(&shell, &format!("info {socket}"));
            fails_in_each_form(&shell, &format!("bind {socket} '{peer}'"));
        }
        fails_in_each_form(&shell, &format!("connect 1 '{}'", name(number, "nobody")));
    }
    let [table, raw, json] = in_each_form(&shell, "ls");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sockets = json.as_array().unwrap().len();
    assert_eq!(sockets, 7 * HOSTILE.len());
    assert_eq!((lines(&table), lines(&raw)), (sockets + 1, sockets));
    for row in raw.lines() {
        assert_eq!(row.split('\t').count(), 11, "{row:?}");
    }
}

#[test]
fn a_message_is_one_line_whatever_it_holds_and_whoever_sent_it() {
    let shell = Shell::start();
    let receiver = shell.ok("socket unix-dgram");
    let to = shell.ok(&format!("bind {receiver} unix:"));
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let sender = shell.ok("socket unix-dgram");
        let from = shell.ok(&format!("bind {sender} '{}'", name(number, "sender")));
        for verb in ["recvfrom", "recvmsg"] {
            for form in ["table", "json"] {
                // What looks like a second message of another sender.
                let payload = format!("{hostile}\nunix:/run/other hello\n");
                shell.ok(&format!("sendto {sender} {to} '{payload}'"));
                let line = format!("-o {form} {verb} {receiver} --timeout 10s");
                let received = harmless(&shell.run(&line), &line);
                assert_eq!(lines(&received), 1, "{received:?}");
                if form == "json" {
                    let json: serde_json::Value = serde_json::from_str(&received).unwrap();
                    assert_eq!(json["address"], from.as_str());
                    assert_eq!(json["text"], payload);
                } else {
                    assert!(received.starts_with(&format!("{from} ")), "{received:?}");
                }
            }
        }
    }
    // Bytes that are no text.
    shell.ok("pair unix-dgram");
    let pair = shell.json("ls").as_array().unwrap().len();
    shell.run_with_stdin(&format!("send {} --hex -", pair - 1), b"ff9b1b0a");
    let received = shell.ok(&format!("recvfrom {pair}"));
    assert!(received.ends_with(" \\xff\\x9b\\u{1b}"), "{received:?}");
}

#[test]
fn nobody_writes_a_record_of_the_journal() {
    let shell = Shell::start();
    let mut journals = ["table", "raw", "json"].map(|form| {
        let line = format!("journal --follow --payload 512 -o {form}");
        let mut journal = shell.start_command(&line);
        assert!(journal.said().contains("attached"));
        journal
    });
    shell.ok("pair unix-dgram");
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let receiver = shell.ok("socket unix-dgram");
        let to = shell.ok(&format!("bind {receiver} '{}'", name(number, "journal")));
        shell.ok(&format!("sendto 1 '{to}' '{hostile}'"));
        shell.ok(&format!("recvfrom {receiver} -o json --timeout 10s"));
        shell.run(&format!("opt set 1 SO_BINDTODEVICE '{hostile}'"));
        shell.ok(&format!("close {receiver}"));
    }
    shell.drain();
    let outputs = journals.each_mut().map(Waiting::end);
    let [table, raw, json] = outputs.map(|output| harmless(&output, "journal"));
    let count = lines(&json);
    assert!(count > 6 * HOSTILE.len(), "{json}");
    assert_eq!((lines(&table), lines(&raw)), (count, count));
    for line in json.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is a value");
    }
    for line in raw.lines() {
        assert_eq!(line.split('\t').count(), 7, "{line:?}");
    }
}

#[test]
fn labels_names_of_hosts_and_arguments_are_harmless() {
    let shell = Shell::start();
    for hostile in HOSTILE {
        shell.ok(&format!("session open --lease 1h --label '{hostile}'"));
        fails_in_each_form(&shell, &format!("resolve '{hostile}' --numeric"));
        // Usage, which is several lines for people.
        for command in ["bind 1", "session close", "-o json bind 1"] {
            let wrong = shell.run(&format!("{command} '{hostile}'"));
            assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
            harmless(&wrong, command);
        }
    }
    let [table, raw, json] = in_each_form(&shell, "session ls");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut labels: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|session| session["label"].as_str())
        .collect();
    labels.sort_unstable();
    let mut expected = HOSTILE.to_vec();
    expected.sort_unstable();
    assert_eq!(labels, expected);
    assert_eq!(
        (lines(&table), lines(&raw)),
        (HOSTILE.len() + 1, HOSTILE.len())
    );
    for row in raw.lines() {
        assert_eq!(row.split('\t').count(), 9, "{row:?}");
    }
    for command in ["host", "interfaces", "clock", "opt list"] {
        in_each_form(&shell, command);
    }
}

#[test]
fn what_nc_and_forward_say_of_a_peer_is_one_harmless_line() {
    let shell = Shell::start();
    for number in 0..HOSTILE.len() {
        for kind in ["-u", ""] {
            let path = shell.directory().join(format!("nc{number}{kind}"));
            let path = path.display();
            let mut nc = shell.start_command(&format!("nc -v {kind} -l -U {path}"));
            assert!(nc.said().contains("listening on"));
            let socket = shell.ok(match kind {
                "-u" => "socket unix-dgram",
                _ => "socket unix",
            });
            shell.ok(&format!("bind {socket} '{}'", name(number, "nc")));
            shell.ok(&format!("connect {socket} unix:{path}"));
            shell.ok(&format!("send {socket} hello"));
            let said = nc.said();
            assert!(said.contains(" from unix-abstract:"), "{said:?}");
            assert!(said.bytes().all(|b| matches!(b, b' '..=b'~')), "{said:?}");
            assert_eq!(nc.stdout().read(&mut [0; 5]).unwrap(), 5);
            shell.ok(&format!("close {socket}"));
            if kind == "-u" {
                nc.interrupt();
            }
            let end = nc.end();
            harmless(&end, "nc");
        }
    }

    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    for hostile in HOSTILE {
        let mut client = TcpStream::connect(&at[0]).unwrap();
        let length = u8::try_from(hostile.len()).unwrap();
        client.write_all(&[5, 1, 0, 5, 1, 0, 3, length]).unwrap();
        client.write_all(hostile.as_bytes()).unwrap();
        client.write_all(&80_u16.to_be_bytes()).unwrap();
        let mut reply = [0; 4];
        client.read_exact(&mut reply).unwrap();
        assert_ne!(reply[3], 0, "no host has such a name");
        let said = forward.note();
        assert!(said.chars().all(escape::is_plain), "{said:?}");
    }
    forward.interrupt();
    harmless(&forward.end(), "forward");
}
