//! The unix listener: whose the socket is, and which file it replaces and removes.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::Path,
};

use farsock_daemon::listener::{ListenAddress, ListenError, Listener};

use crate::support::{Daemon, Directory, FARSOCKD, Serving, health, unix};

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("it exists");
    metadata.permissions().mode() & 0o777
}

async fn bind(path: &Path) -> Result<Listener, ListenError> {
    Listener::bind(&ListenAddress::Unix(path.to_owned())).await
}

#[tokio::test]
async fn the_socket_and_its_new_directory_are_the_owners_alone() {
    let directory = Directory::new();
    let path = directory.join("farsock/farsock.sock");
    let serving = Serving::start(unix(&path)).await;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory.join("farsock")), 0o700);
    assert_eq!(health(serving.client().await).await.unwrap(), 1);
}

#[tokio::test]
async fn the_modes_hold_whatever_the_umask() {
    for umask in ["000", "777"] {
        let directory = Directory::new();
        let path = directory.join("farsock/farsock.sock");
        let script = format!(
            "umask {umask} && exec {FARSOCKD} --listen unix://{}",
            path.display()
        );
        let mut daemon = Daemon::spawn(Daemon::command("/bin/sh").args(["-c", &script]));
        daemon.address().await;
        assert_eq!(mode(&path), 0o600, "umask {umask}");
        assert_eq!(mode(&directory.join("farsock")), 0o700, "umask {umask}");
    }
}

#[tokio::test]
async fn a_directory_that_exists_keeps_its_mode() {
    let directory = Directory::new();
    let own = directory.join("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    let _listener = bind(&own.join("x.sock")).await.unwrap();
    assert_eq!(mode(&own), 0o755);
}

#[tokio::test]
async fn the_socket_of_a_daemon_that_is_gone_is_replaced() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    let old = fs::symlink_metadata(&path).unwrap();
    let listener = bind(&path).await.unwrap();
    assert_ne!(
        (old.ino(), old.ctime_nsec()),
        fs::symlink_metadata(&path)
            .map(|new| (new.ino(), new.ctime_nsec()))
            .unwrap()
    );
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_socket_of_a_daemon_that_lives_is_left_to_it() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let serving = Serving::start(unix(&path)).await;
    let error = bind(&path).await.unwrap_err();
    assert!(matches!(error, ListenError::AlreadyRunning { .. }));
    assert!(error.to_string().contains("already running"), "{error}");
    assert_eq!(health(serving.client().await).await.unwrap(), 1);
}

#[tokio::test]
async fn a_daemon_too_busy_to_accept_counts_as_alive() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&socket2::SockAddr::unix(&path).unwrap())
        .unwrap();
    socket.listen(0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let error = bind(&path).await.unwrap_err();
    assert!(matches!(error, ListenError::AlreadyRunning { .. }));
}

#[tokio::test]
async fn of_two_that_start_at_once_one_listens() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    let (one, other) = tokio::join!(bind(&path), bind(&path));
    assert!(one.is_ok() != other.is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    fs::write(&path, "precious").unwrap();
    let error = bind(&path).await.unwrap_err();
    assert!(matches!(error, ListenError::NotASocket { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_missing_parent_of_the_directory_is_an_error_that_names_the_address() {
    let directory = Directory::new();
    let error = bind(&directory.join("no/such/x.sock")).await.unwrap_err();
    assert!(error.to_string().contains("no/such/x.sock"), "{error}");
}

#[tokio::test]
async fn another_socket_under_the_same_name_is_not_removed_at_the_end() {
    let directory = Directory::new();
    let path = directory.join("x.sock");
    let listener = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
}
