//! The daemon as a relay between two of its own connections: one that it accepts, and one to the far end. The client only says so.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use farsock_client::{Client, RemoteSocket, Spliced};
use tokio::{runtime::Runtime, task::JoinHandle, time::timeout};

use super::{Connection, Plain, Relay};
use crate::{Failure, daemon_process, far_end::PATIENCE, operation, process::Process};

/// The daemon, as a process of its own, with a socket that listens.
pub(crate) struct Splice {
    runtime: Arc<Runtime>,
    client: Client,
    listener: RemoteSocket,
    address: SocketAddr,
    /// The last connection's.
    relay: Option<OneRelay>,
    daemon: Process,
    far_end: SocketAddr,
}

/// The relay of one connection.
struct OneRelay {
    near: RemoteSocket,
    far: RemoteSocket,
    ended: JoinHandle<farsock_client::Result<Spliced>>,
}

impl Splice {
    /// Starts the daemon, and has it listen.
    ///
    /// # Errors
    /// It does not come to listen.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        daemon: &Path,
        far_end: SocketAddr,
    ) -> Result<Self, Failure> {
        let daemon = daemon_process::start(daemon)?;
        let (client, listener, address) = runtime.block_on(async {
            let client = operation::connect(daemon.address()).await?;
            let listener = client.tcp_socket().await?;
            let address = listener.bind("127.0.0.1:0").await?;
            listener.listen(1).await?;
            Ok::<_, Failure>((client, listener, address.to_string().parse()?))
        })?;
        Ok(Self {
            runtime,
            client,
            listener,
            address,
            relay: None,
            daemon,
            far_end,
        })
    }
}

impl Relay for Splice {
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure> {
        let runtime = Arc::clone(&self.runtime);
        runtime.block_on(async {
            if let Some(last) = self.relay.take() {
                last.end().await?;
            }
            let far = self.client.tcp_socket().await?;
            far.connect(self.far_end.to_string()).await?;
            // Its backlog takes it before it is accepted.
            let stream = TcpStream::connect(self.address)?;
            let (near, _) = timeout(PATIENCE, self.listener.accept()).await??;
            let (one, other) = (
                self.client.adopt(near.handle()),
                self.client.adopt(far.handle()),
            );
            let ended = tokio::spawn(async move { one.splice(&other).await });
            self.relay = Some(OneRelay { near, far, ended });
            Ok::<_, Failure>(Box::new(Plain::new(stream)?) as Box<dyn Connection>)
        })
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        self.daemon.cpu_time()
    }
}

impl OneRelay {
    /// Waits until the relay has ended, as it does with its connections, and closes its sockets.
    async fn end(self) -> Result<(), Failure> {
        timeout(PATIENCE, self.ended).await???;
        self.near.close().await?;
        self.far.close().await?;
        Ok(())
    }
}
