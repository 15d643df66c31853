//! Where settings come from, and which source wins.

use std::{fs, process::Output};

use crate::support::{Daemon, Directory, FARSOCKD};

/// What the daemon would run with.
async fn print_config(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Daemon::command(FARSOCKD)
        .envs(environment.iter().copied())
        .arg("--print-config")
        .args(arguments)
        .output()
        .await
        .expect("it runs")
}

#[tokio::test]
async fn the_manual_page_and_completions_are_printed_whatever_the_configuration_is() {
    for (arguments, start) in [
        (&["--man"][..], ".ie"),
        (&["--completions", "bash"], "_farsockd() {"),
    ] {
        let printed = Daemon::command(FARSOCKD)
            .env("FARSOCKD_CONFIG", "/nonexistent/farsockd.toml")
            .args(arguments)
            .output()
            .await
            .expect("it runs");
        assert!(printed.status.success(), "{printed:?}");
        assert!(text(&printed.stdout).starts_with(start), "{printed:?}");
        assert!(printed.stderr.is_empty(), "{printed:?}");
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let directory = Directory::new();
    let file = directory.join("farsockd.toml");
    fs::write(
        &file,
        "listen = [\"tcp://127.0.0.1:1\"]\nmax_handles = 101\nmax_connections = 102\nmax_waiting = 103\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let printed = print_config(
        &[
            ("FARSOCKD_CONFIG", &file),
            ("FARSOCKD_MAX_CONNECTIONS", "202"),
            ("FARSOCKD_MAX_WAITING", "203"),
        ],
        &["--max-waiting", "303"],
    )
    .await;
    let printed = text(&printed.stdout);
    for line in [
        "listen = [\"tcp://127.0.0.1:1\"]",
        "max_handles = 101",
        "max_connections = 202",
        "max_waiting = 303",
        "drain_timeout = \"5s\"",
    ] {
        assert!(printed.lines().any(|one| one == line), "{line}\n{printed}");
    }
}

#[tokio::test]
async fn the_environment_can_set_everything() {
    let printed = print_config(
        &[
            ("FARSOCKD_LISTEN", "tcp://127.0.0.1:1,tcp://[::1]:2"),
            ("FARSOCKD_LOG", "json"),
            ("FARSOCKD_LOG_LEVEL", "debug"),
            ("FARSOCKD_MAX_HANDLES", "3"),
            ("FARSOCKD_MAX_CONNECTIONS", "4"),
            ("FARSOCKD_MAX_WAITING", "5"),
            ("FARSOCKD_DRAIN_TIMEOUT", "6s"),
            ("FARSOCKD_ALLOW_RAW_FAMILIES", "true"),
            ("FARSOCKD_ALLOW_RAW_OPTIONS", "true"),
            ("FARSOCKD_RESOLVE_CONCURRENCY", "7"),
        ],
        &[],
    )
    .await;
    assert_eq!(
        text(&printed.stdout),
        "listen = [\"tcp://127.0.0.1:1\", \"tcp://[::1]:2\"]\n\
         log = \"json\"\n\
         log_level = \"debug\"\n\
         max_handles = 3\n\
         max_connections = 4\n\
         max_waiting = 5\n\
         drain_timeout = \"6s\"\n\
         allow_raw_families = true\n\
         allow_raw_options = true\n\
         resolve_concurrency = 7\n"
    );
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there_and_well_formed() {
    let directory = Directory::new();
    let file = directory.join("farsockd.toml");
    let name = file.display().to_string();
    let missing = print_config(&[], &["--config", &name]).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains(&name));

    fs::write(&file, "log = \"json\"\n\nmax_handels = 1\n").unwrap();
    let wrong = print_config(&[], &["--config", &name]).await;
    assert_eq!(wrong.status.code(), Some(2));
    let message = text(&wrong.stderr);
    assert!(message.contains(&name), "{message}");
    assert!(message.contains("line 3"), "{message}");
    assert!(message.contains("max_handels"), "{message}");
}

#[tokio::test]
async fn help_names_every_setting_with_its_variable() {
    let help = print_config(&[], &["--help"]).await;
    let help = text(&help.stdout);
    let printed = print_config(&[], &["--listen=tcp://127.0.0.1:1"]).await;
    for line in text(&printed.stdout).lines() {
        let (key, _) = line.split_once(" = ").unwrap();
        assert!(help.contains(&format!("--{}", key.replace('_', "-"))));
        assert!(help.contains(&format!("FARSOCKD_{}", key.to_uppercase())));
    }
}
