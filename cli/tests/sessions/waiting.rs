//! Waits and their ends: timeouts, poll, and a handle that is closed meanwhile.

use crate::shell::Shell;

#[test]
fn a_timeout_ends_with_4_and_takes_nothing() {
    let shell = Shell::start();
    shell.ok("pair unix");
    let stderr = shell.fails(4, "recv 2 --timeout 20ms");
    assert!(
        stderr.starts_with("farsock: recv 2: TIMED_OUT: "),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("; nothing was taken from the socket"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    shell.ok("send 1 later");
    assert_eq!(shell.ok("recv 2 --timeout 0"), "later");
}

#[test]
fn poll_tells_who_is_ready_and_nothing_when_the_time_is_over() {
    let shell = Shell::start();
    shell.ok("pair unix");
    assert_eq!(shell.ok("poll 1 2 --timeout 20ms"), "");
    shell.ok("send 1 hello");
    assert_eq!(shell.ok("poll 1 2 --timeout 10s"), "2 in");
    assert_eq!(shell.ok("poll 1:in,out 2:in,out"), "1 out\n2 in,out");
    assert_eq!(shell.ok("poll 99 -o raw"), "99\tnval");
    let ready = shell.json("poll 1 2");
    let expected = serde_json::json!({
        "ready": [{ "index": 1, "handle": 2, "events": ["in"] }],
    });
    assert_eq!(ready, expected);
}

#[test]
fn a_wait_ends_when_its_handle_is_closed() {
    let shell = Shell::start();
    shell.ok("pair unix");
    let recv = shell.start_command("recv 2 --timeout 30s");
    shell.until_waiting(2, 1);
    shell.ok("close 2");
    let stderr = recv.fails(4);
    assert!(
        stderr.starts_with("farsock: recv 2: HANDLE_CLOSED: "),
        "{stderr}"
    );
}

#[test]
fn a_nonblocking_socket_answers_at_once() {
    let shell = Shell::start();
    shell.ok("pair unix --nonblocking");
    let expected = "farsock: recv 1: EAGAIN: Resource temporarily unavailable";
    assert_eq!(shell.fails(1, "recv 1"), expected);
    shell.ok("pair unix");
    let expected = "farsock: recv 3: EAGAIN: Resource temporarily unavailable";
    assert_eq!(shell.fails(1, "recv 3 --dontwait"), expected);
}

#[test]
fn a_connect_to_a_full_backlog_whose_time_is_over_says_once_what_was_tried_and_that_nothing_goes_on()
 {
    let shell = Shell::start();
    let path = format!("unix:{}", shell.directory().join("full").display());
    shell.ok("socket unix");
    shell.ok(&format!("bind 1 {path}"));
    shell.ok("listen 1 0");
    shell.ok("socket unix");
    shell.ok(&format!("connect 2 {path}"));
    shell.ok("socket unix");
    assert_eq!(
        shell.fails(4, &format!("connect 3 {path} --timeout 20ms")),
        format!(
            "farsock: connect 3 {path}: TIMED_OUT: the request's timeout was over; the listener's queue was full, and the socket is not \
             connecting: connect again"
        )
    );
}
