//! Sessions: sockets that belong to one, and its end.

use crate::shell::Shell;

#[test]
fn sockets_made_in_a_session_are_its_own_and_are_closed_with_it() {
    let shell = Shell::start();
    let id = shell.ok("session open --lease 5m --label nightly");
    assert_eq!(id.len(), 32, "{id}");
    assert_eq!(shell.ok("socket udp"), "1");
    let handle = shell.ok(&format!("socket tcp --session {id}"));
    shell.ok(&format!("listen {handle} --session {id}"));

    let sessions = shell.json("session ls");
    assert_eq!(sessions[0]["session_id"], *id);
    assert_eq!(sessions[0]["label"], "nightly");
    assert_eq!(sessions[0]["sockets"], 1);
    assert_eq!(sessions[0]["lease"], 300.0);
    assert_eq!(sessions[0]["attached"], false);
    let left = sessions[0]["lease_left"].as_f64().expect("a number");
    assert!((200.0..=300.0).contains(&left), "{left}");
    let table = shell.ok("session ls");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        [
            "ID",
            "LABEL",
            "LEASE",
            "LEFT",
            "ATTACHED",
            "SOCKETS",
            "IN-FLIGHT",
            "KEPT",
            "AGE"
        ]
    );
    assert_eq!(rows[1][..3], [&*id, "nightly", "5m00s"]);
    assert_eq!(rows[1][4..8], ["no", "1", "0", "0"]);

    let sockets = shell.ok("ls -o raw");
    let sockets: Vec<Vec<&str>> = sockets
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(sockets[0][7].starts_with("uid "), "{sockets:?}");
    assert_eq!(sockets[0][8..10], ["-", "-"]);
    assert_eq!(sockets[1][..3], [&*handle, "tcp", "LISTEN"]);
    assert_eq!(sockets[1][8], &id[..8]);
    assert!(sockets[1][9].starts_with("4m") || sockets[1][9] == "5m00s");
    assert_eq!(shell.json(&format!("info {handle}"))["session_id"], *id);

    assert_eq!(shell.ok(&format!("session close {id}")), "");
    assert_eq!(shell.ok("ls -o raw").lines().count(), 1);
    assert_eq!(shell.ok("session ls -o raw"), "");
    let stderr = shell.fails(4, &format!("socket tcp --session {id}"));
    assert!(stderr.contains("SESSION_NOT_FOUND"), "{stderr}");
    assert!(
        stderr.ends_with("; unset FARSOCK_SESSION or open another"),
        "{stderr}"
    );
    let stderr = shell.fails(4, &format!("session close {id}"));
    assert!(stderr.contains("SESSION_NOT_FOUND"), "{stderr}");
}

#[test]
fn the_environment_names_a_session_too() {
    let shell = Shell::start();
    let id = shell.ok("session open");
    let output = shell
        .command_of("socket udp -o json")
        .env("FARSOCK_SESSION", &id)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(shell.json("ls")[0]["session_id"], *id);
}

#[test]
fn what_is_no_session_id_is_a_usage_error() {
    let shell = Shell::start();
    let stderr = shell.fails(2, "ls --session 12");
    assert!(stderr.contains("32 hexadecimal digits"), "{stderr}");
    let stderr = shell.fails(4, "session open --lease 2h");
    assert!(stderr.contains("INVALID_REQUEST"), "{stderr}");
}

#[test]
fn close_all_leaves_the_sockets_of_other_sessions_alone_unless_every_session_is_asked_for() {
    let shell = Shell::start();
    let count = || shell.ok("ls -o raw").lines().count();
    let [first, second] = [(); 2].map(|()| shell.ok("session open --lease 5m"));
    for at in [
        "",
        &format!("--session {first}"),
        &format!("--session {second}"),
    ] {
        shell.ok(format!("socket udp {at}").trim());
    }
    shell.ok("close --all");
    assert_eq!(count(), 2, "those of sessions are left");
    shell.ok(&format!("close --all --session {first}"));
    assert_eq!(count(), 1, "that of the other session is left");
    shell.ok("close --all");
    assert_eq!(count(), 1);
    shell.ok("close --all --every-session");
    assert_eq!(count(), 0);
    assert_eq!(shell.ok("session ls -o raw").lines().count(), 2);
}
