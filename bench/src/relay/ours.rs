//! The daemon, and the Rust client's byte stream.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use farsock_client::Client;
use tokio::runtime::Runtime;

use super::{Connection, Relay};
use crate::{Failure, daemon_process, operation, process::Process};

/// The daemon, as a process of its own, and a client of it.
pub(crate) struct Ours {
    runtime: Arc<Runtime>,
    client: Client,
    daemon: Process,
    far_end: SocketAddr,
}

impl Ours {
    /// Starts the daemon and connects to it.
    ///
    /// # Errors
    /// It does not come to listen.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        daemon: &Path,
        far_end: SocketAddr,
    ) -> Result<Self, Failure> {
        let daemon = daemon_process::start(daemon)?;
        let client = runtime.block_on(operation::connect(daemon.address()))?;
        Ok(Self {
            runtime,
            client,
            daemon,
            far_end,
        })
    }
}

impl Relay for Ours {
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure> {
        let _ = (&self.runtime, &self.client, self.far_end);
        Err("byte streams are not there yet".into())
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        self.daemon.cpu_time()
    }
}
