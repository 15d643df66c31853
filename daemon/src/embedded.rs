//! The daemon within a process, without a port: for tests, and for programs that want no second process.

use std::{future::Future, io, pin::Pin};

use tokio::{io::DuplexStream, task::JoinHandle};

use crate::{
    config::Config,
    essential::EssentialEnded,
    listener::{Listener, memory::Connector},
    server::Server,
    shutdown::Shutdown,
};

/// A daemon in this process. Dropping it ends the daemon and closes its sockets, soon after; [`shutdown`](Self::shutdown) waits
/// for that.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// let daemon = farsock_daemon::embedded();
/// let connect = daemon.connector();
/// let pipe = connect().await?; // speaks HTTP/2; give it to a gRPC client
/// # drop(pipe);
/// daemon.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the daemon"]
pub struct Embedded {
    connector: Connector,
    shutdown: Shutdown,
    server: Option<JoinHandle<Result<(), EssentialEnded>>>,
}

/// Starts a daemon in this process with the default limits. Its tasks belong to the runtime that this is called in.
///
/// # Panics
/// Outside a tokio runtime, or if the process can open no more descriptors.
pub fn embedded() -> Embedded {
    let (listener, connector) = Listener::memory();
    let shutdown = Shutdown::new();
    let server = Server::new(Config::embedded(), vec![listener])
        .expect("the kernel has an epoll instance to give, as it had for the runtime");
    let server = tokio::spawn(server.run(shutdown.clone()));
    Embedded {
        connector,
        shutdown,
        server: Some(server),
    }
}

impl Embedded {
    /// How to reach the daemon: each call makes a connection, a pipe of 1 MiB in each direction that carries HTTP/2. Fails with
    /// ConnectionRefused once the daemon has ended.
    pub fn connector(
        &self,
    ) -> impl Fn() -> Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        let connector = self.connector.clone();
        move || connector.connect()
    }

    /// Ends the daemon in order, as SIGTERM ends farsockd, and waits until its sockets are closed.
    pub async fn shutdown(mut self) {
        self.shutdown.drain();
        if let Some(server) = self.server.take() {
            // It ends either way; what else has ended, or panicked, was reported where it happened.
            let _ = server.await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shutdown.now();
    }
}
