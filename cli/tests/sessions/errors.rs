//! Each exit code, and the line on stderr that goes with it.

use std::{net::TcpStream, os::unix::net::UnixListener, process::Stdio};

use crate::shell::{Shell, farsock, text};

#[test]
fn the_kernels_no_is_1_with_the_errno() {
    let shell = Shell::start();
    shell.ok("socket tcp");
    let closed = shell.ok("bind 1 127.0.0.1:0");
    shell.ok("socket tcp");
    assert_eq!(
        shell.fails(1, &format!("connect 2 {closed}")),
        format!("farsock: connect 2 {closed}: ECONNREFUSED: Connection refused")
    );
    assert_eq!(
        shell.fails(1, &format!("bind 2 {closed}")),
        format!("farsock: bind 2 {closed}: EADDRINUSE: Address already in use")
    );
    assert_eq!(
        shell.fails(1, "accept 1"),
        "farsock: accept 1: EINVAL: Invalid argument"
    );
}

#[test]
fn the_resolvers_no_is_1_with_its_name() {
    let shell = Shell::start();
    assert_eq!(
        shell.fails(1, "resolve --numeric not-a-number"),
        "farsock: resolve not-a-number: EAI_NONAME: Name or service not known"
    );
}

#[test]
fn usage_is_2() {
    let shell = Shell::start();
    for line in [
        "",
        "nonsense",
        "socket",
        "socket tcp udp",
        "bind 1 localhost:80",
        "send 1 --hex 123",
        "send 1 --data-file /nonexistent/file",
        "recv one",
        "poll",
        "close",
        "close --all 1",
        "recv 1 --timeout soon",
        "host -o yaml",
        "host --addr nonsense",
    ] {
        assert!(!shell.fails(2, line).is_empty(), "{line}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_3() {
    let shell = Shell::start();
    let nowhere = format!("unix://{}/nobody.sock", shell.directory().display());
    let stderr = shell.fails(3, &format!("ls --addr {nowhere}"));
    assert!(stderr.starts_with("farsock: "), "{stderr}");
    assert!(stderr.contains(&nowhere), "{stderr}");
}

#[test]
fn without_a_daemon_at_the_default_place_the_next_step_is_said() {
    let runtime = tempfile::tempdir().expect("a directory");
    let place = runtime.path().join("farsock/farsock.sock");
    std::fs::create_dir(runtime.path().join("farsock")).expect("it is made");
    // There, but nobody listens: so that a daemon of the system's is not taken instead.
    drop(UnixListener::bind(&place).expect("it listens"));
    let output = farsock()
        .arg("ls")
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("FARSOCK_ADDR", "")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&format!("{}", place.display())), "{stderr}");
    assert!(stderr.contains("; start one with `farsockd &`"), "{stderr}");
}

#[test]
fn the_daemons_no_is_4_with_its_reason() {
    let shell = Shell::start();
    for line in ["recv 7", "close 7", "info 7", "bind 7 127.0.0.1:0"] {
        let stderr = shell.fails(4, line);
        assert!(
            stderr.starts_with(&format!("farsock: {line}: HANDLE_NOT_FOUND: ")),
            "{stderr}"
        );
    }
    shell.ok("socket udp");
    let stderr = shell.fails(4, "recv 1 -n 1000000000000");
    assert!(
        stderr.starts_with("farsock: recv 1: INVALID_REQUEST: "),
        "{stderr}"
    );
}

#[test]
fn for_programs_an_error_is_a_json_object_that_tells_who_said_no() {
    let shell = Shell::start();
    let port = shell.closed_port();
    shell.ok("socket tcp");
    let connect = format!("connect 2 127.0.0.1:{port}");
    let nowhere = format!("ls --addr unix://{}/nobody", shell.directory().display());
    for (code, line, errno_name, reason) in [
        (1, connect.as_str(), Some("ECONNREFUSED"), None),
        (1, "resolve --numeric nobody", None, Some("EAI_NONAME")),
        (3, &nowhere, None, None),
        (4, "recv 7", None, Some("HANDLE_NOT_FOUND")),
    ] {
        let stderr = shell.fails(code, &format!("-o json {line}"));
        let told: serde_json::Value = serde_json::from_str(&stderr).expect(&stderr);
        let error = &told["error"];
        assert_eq!(error["errno_name"].as_str(), errno_name, "{stderr}");
        let call = errno_name.map(|_| ("connect", 111));
        assert_eq!(
            error["call"].as_str(),
            call.map(|(name, _)| name),
            "{stderr}"
        );
        assert_eq!(
            error["errno"].as_i64(),
            call.map(|(_, errno)| errno),
            "{stderr}"
        );
        assert_eq!(error["reason"].as_str(), reason, "{stderr}");
        assert_eq!(error["tried"].is_null(), code == 3, "{stderr}");
        let text = shell.fails(code, line);
        let message = error["message"].as_str().expect("it has a text");
        assert_eq!(text, format!("farsock: {message}"));
    }
}

#[test]
fn for_programs_every_line_of_stderr_is_a_json_object_and_the_last_error_decides() {
    let shell = Shell::start();
    let id = "0123456789abcdef0123456789abcdef";
    for (line, decides) in [
        ("close 7 8", "close 7: HANDLE_NOT_FOUND: "),
        (
            &format!("session close {id} {}", id.replace('0', "1")),
            "session close 0123",
        ),
    ] {
        let stderr = shell.fails(4, &format!("-o json {line}"));
        let told: Vec<serde_json::Value> = stderr
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        assert_eq!(told.len(), 2, "{stderr}");
        for told in &told {
            assert!(told["error"]["reason"].is_string(), "{stderr}");
        }
        let message = told[1]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(decides), "{stderr}");
    }
}

#[test]
fn for_programs_an_error_of_usage_is_a_json_object_on_one_line() {
    let shell = Shell::start();
    for (line, said) in [
        ("nonsense -o json", "unrecognized subcommand 'nonsense'"),
        ("socket tpc -o json", "invalid value 'tpc' for '[KIND]'"),
        (
            "bind 1 --output=json",
            "the following required arguments were not provided: <ADDRESS>",
        ),
        ("-ojson close", "close: name handles, or --all"),
        ("-o json session", "'farsock session' requires a subcommand"),
        ("-o json ls --addr nonsense", "--addr nonsense: "),
    ] {
        let stderr = shell.fails(2, line);
        let told: serde_json::Value = serde_json::from_str(&stderr).expect(&stderr);
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(said), "{stderr}");
        assert!(!message.contains("Usage:"), "{stderr}");
        assert!(told["error"]["errno"].is_null() && told["error"]["reason"].is_null());
    }
    // Without any argument clap has nothing but the help to say.
    let missing = farsock().args(["-o", "json", "session"]).output().unwrap();
    let stderr = text(&missing.stderr);
    let told: serde_json::Value = serde_json::from_str(&stderr).expect(&stderr);
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("command"), "{stderr}");
    assert_eq!(missing.status.code(), Some(2));
    // What is asked for is no error.
    assert!(
        shell
            .ok("-o json close --help")
            .starts_with("Close sockets")
    );
}

#[test]
fn for_programs_a_forward_tells_each_connections_error_as_an_object() {
    let shell = Shell::start();
    let closed = shell.closed_port();
    let line = format!("forward -o json -L 0:127.0.0.1:{closed}");
    let mut forward = shell.start_command(&line);
    let told: serde_json::Value = serde_json::from_str(&forward.answer()).unwrap();
    let address = told["addresses"][0].as_str().unwrap();
    let peer = TcpStream::connect(address).unwrap();
    let peer = peer.local_addr().unwrap();
    let line = forward.said();
    let told: serde_json::Value = serde_json::from_str(&line).expect(&line);
    let error = &told["error"];
    assert_eq!(error["errno_name"], "ECONNREFUSED");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("{peer} -> 127.0.0.1:{closed}: ")),
        "{message}"
    );
    forward.interrupt();
    forward.ok();
}

#[test]
fn closing_several_tries_all_of_them() {
    let shell = Shell::start();
    shell.ok("pair unix");
    let stderr = shell.fails(4, "close 7 1 8 2");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines.iter().all(|line| line.contains("HANDLE_NOT_FOUND")));
    assert_eq!(shell.ok("ls -o raw"), "");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let mut child = farsock()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}
