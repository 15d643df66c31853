//! A relay between two sockets.

use crate::shell::Shell;

#[test]
fn two_sockets_are_joined_until_both_peers_have_ended() {
    let shell = Shell::start();
    shell.ok("pair unix");
    shell.ok("pair unix");
    let relay = shell.start_command("splice 2 3 -o raw");
    shell.until_waiting(2, 1);
    shell.ok("send 1 'hello there'");
    assert_eq!(shell.ok("recv 4 --timeout 10s"), "hello there");
    shell.ok("shutdown 1 write");
    shell.ok("poll 4:rdhup --timeout 10s");
    shell.ok("send 4 hi");
    assert_eq!(shell.ok("recv 1 --timeout 10s"), "hi");
    shell.ok("shutdown 4 write");
    assert_eq!(relay.ok(), "2\t3\t11\t0\tend\n3\t2\t2\t0\tend");
}

#[test]
fn a_relay_that_is_ended_tells_what_it_moved_or_fails() {
    let shell = Shell::start();
    shell.ok("pair unix");
    let stderr = shell.fails(4, "splice 1 2 --timeout 20ms");
    assert!(
        stderr.starts_with("farsock: splice 1 2: TIMED_OUT: "),
        "{stderr}"
    );
    shell.ok("send 1 hello");
    let moved = shell.json("splice 2 2 --timeout 20ms");
    assert_eq!(moved["first_to_second"]["bytes"], 5);
    assert_eq!(moved["first_to_second"]["error"], "TIMED_OUT");
    assert!(moved["second_to_first"].is_null());
    assert_eq!(shell.ok("recv 1 --timeout 10s"), "hello");
    let stderr = shell.fails(4, "splice 1 99");
    assert!(stderr.contains("HANDLE_NOT_FOUND"), "{stderr}");
}
