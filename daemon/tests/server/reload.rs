//! SIGHUP: what is read again, what is not, and that nothing ends by it.

use std::fs;

use crate::support::{Daemon, Directory, connect, health};

#[tokio::test]
async fn sighup_reloads_what_can_be_and_says_what_needs_a_restart() {
    let directory = Directory::new();
    let file = directory.join("farsockd.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    write("listen = [\"tcp://127.0.0.1:0\"]\nmax_waiting = 10\n");
    let config = format!("--config={}", file.display());
    let mut daemon = Daemon::start(&[&config, "--drain-timeout=3s"]);
    let address = daemon.address().await;
    let channel = connect(&address).await.unwrap();
    assert_eq!(health(channel.clone()).await.unwrap(), 1);

    // The flag wins over the file, as at the start.
    write(
        "listen = [\"tcp://127.0.0.1:1\"]\nlog_level = \"debug\"\nmax_waiting = 11\nmax_connections = 1\n\
         drain_timeout = \"4s\"\nresolve_concurrency = 3\n",
    );
    daemon.signal("HUP").await;
    let line = daemon.logs("the configuration was read again").await;
    assert!(
        line.contains("reloaded=\"log_level, max_connections, max_waiting\"")
            && line.contains("needs_restart=\"listen, resolve_concurrency\""),
        "{line}"
    );
    // The connection that there is goes on, and one more is one too many.
    assert_eq!(health(channel.clone()).await.unwrap(), 1);
    drop(tokio::net::TcpStream::connect(tcp(&address)).await.unwrap());
    daemon.logs("there are max_connections already").await;

    // What needs a restart still does; and more places are taken at once.
    write(
        "listen = [\"tcp://127.0.0.1:1\"]\nlog_level = \"debug\"\nmax_waiting = 11\nmax_connections = 2\n",
    );
    daemon.signal("HUP").await;
    let line = daemon.logs("the configuration was read again").await;
    assert!(
        line.contains("reloaded=\"max_connections\"") && line.contains("needs_restart=\"listen\""),
        "{line}"
    );
    drop(tokio::net::TcpStream::connect(tcp(&address)).await.unwrap());
    daemon.logs(" connected").await;

    daemon.signal("TERM").await;
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_configuration_that_is_wrong_changes_nothing() {
    let directory = Directory::new();
    let file = directory.join("farsockd.toml");
    fs::write(&file, "listen = [\"tcp://127.0.0.1:0\"]\n").unwrap();
    let config = format!("--config={}", file.display());
    let mut daemon = Daemon::start(&[&config]);
    let address = daemon.address().await;
    for (text, why) in [
        (
            "log_level = \"debug\"\nmax_conections = 1\n",
            "max_conections",
        ),
        (
            "log_level = \"debug\"\nmax_connections = 0\n",
            "max_connections is 0",
        ),
        ("log_level = \"loudest\"\n", "loudest"),
        ("= =", "the configuration is wrong"),
    ] {
        fs::write(&file, text).unwrap();
        daemon.signal("HUP").await;
        let line = daemon.logs("the configuration is wrong").await;
        assert!(line.contains(why), "{line}");
        assert_eq!(health(connect(&address).await.unwrap()).await.unwrap(), 1);
    }
    fs::remove_file(&file).unwrap();
    daemon.signal("HUP").await;
    daemon.logs("cannot read").await;
    // Nothing of the wrong ones was taken over: connections are not logged, and none is one too many.
    fs::write(&file, "listen = [\"tcp://127.0.0.1:0\"]\n").unwrap();
    daemon.signal("HUP").await;
    let line = daemon.logs("the configuration was read again").await;
    assert!(line.contains("reloaded=\"nothing\""), "{line}");
    daemon.signal("TERM").await;
    assert_eq!(daemon.exit_code().await, Some(0));
}

fn tcp(address: &farsock_daemon::listener::ListenAddress) -> std::net::SocketAddr {
    match address {
        farsock_daemon::listener::ListenAddress::Tcp(address) => *address,
        other => panic!("{other} is not a TCP address"),
    }
}
