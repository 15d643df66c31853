//! The forms of output: what is on stdout is the answer and nothing else.

use crate::shell::Shell;

#[test]
fn every_answer_is_json_if_asked_for() {
    let shell = Shell::start();
    assert_eq!(shell.json("socket udp"), serde_json::json!({ "handle": 1 }));
    let bound = shell.json("bind 1 127.0.0.1:0");
    assert!(bound["local_address"].is_string());
    assert_eq!(
        shell.json("pair unix"),
        serde_json::json!({ "first": 2, "second": 3 })
    );
    assert_eq!(
        shell.json("send 2 hello"),
        serde_json::json!({ "bytes_sent": 5 })
    );
    for line in ["shutdown 2", "close 2 3", "opt set 1 SO_BROADCAST on"] {
        assert_eq!(shell.json(line), serde_json::json!({}), "{line}");
    }
    assert_eq!(shell.json("ls")[0]["handle"], 1);
    assert!(shell.json("host")["kernel"]["release"].is_string());
    assert!(shell.json("interfaces")[0]["addresses"].is_array());
    assert!(shell.json("clock")["monotonic"].is_f64());
    assert_eq!(
        shell.json("resolve 127.0.0.1 80 --type stream"),
        serde_json::json!({
            "addresses": [{
                "domain": "AF_INET",
                "type": "SOCK_STREAM",
                "protocol": "IPPROTO_TCP",
                "address": "127.0.0.1:80",
            }],
            "canonical_name": null,
        })
    );
}

#[test]
fn a_table_shows_no_control_characters_and_raw_shows_all() {
    let shell = Shell::start();
    shell.ok("pair unix-dgram");
    for _ in 0..2 {
        shell.ok("send 1 --hex 1b5b316d");
    }
    assert_eq!(shell.ok("recv 2"), "\\u{1b}[1m");
    assert_eq!(shell.run("recv 2 -o raw").stdout, b"\x1b[1m");
}

#[test]
fn a_pipe_gets_no_colour() {
    let shell = Shell::start();
    shell.ok("socket udp");
    assert!(!shell.ok("ls").contains('\x1b'));
    assert!(!shell.fails(4, "close 9").contains('\x1b'));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let shell = Shell::start();
    let directory = shell.directory().join("man1");
    std::fs::create_dir(&directory).unwrap();
    shell.ok(&format!("man {}", directory.display()));
    for page in ["farsock.1", "farsock-connect.1", "farsock-opt-set.1"] {
        assert!(directory.join(page).exists(), "{page}");
    }
}
