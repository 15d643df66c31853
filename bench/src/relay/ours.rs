//! The daemon, and the Rust client's byte stream by chunks that are not copied.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use farsock_client::{Client, TcpStream};
use tokio::{io::AsyncWriteExt, runtime::Runtime};

use super::{Connection, Relay};
use crate::{
    Failure, daemon_process,
    far_end::PATIENCE,
    operation,
    pattern::{Arrived, CHUNK, Pattern, Tally},
    process::Process,
};

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
        let connecting = self.client.tcp_stream(self.far_end.to_string());
        let stream = self.runtime.block_on(connecting)?;
        Ok(Box::new(OurConnection {
            runtime: Arc::clone(&self.runtime),
            stream: Some(stream),
        }))
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        self.daemon.cpu_time()
    }
}

/// A connection. What it does, it does in a task, like a program with more to do.
struct OurConnection {
    runtime: Arc<Runtime>,
    /// Absent while a task has it, and after a failure.
    stream: Option<TcpStream>,
}

impl OurConnection {
    /// Does something with the stream in a task of its own.
    fn run<F, T>(&mut self, work: impl FnOnce(TcpStream) -> F) -> Result<T, Failure>
    where
        F: Future<Output = io::Result<(TcpStream, T)>> + Send + 'static,
        T: Send + 'static,
    {
        let stream = self.stream.take().ok_or("the connection has failed")?;
        let working = self.runtime.spawn(work(stream));
        let worked = async { tokio::time::timeout(PATIENCE, working).await };
        let (stream, result) = self.runtime.block_on(worked)???;
        self.stream = Some(stream);
        Ok(result)
    }
}

impl Connection for OurConnection {
    fn send(&mut self, pattern: &Pattern, bytes: u64) -> Result<(), Failure> {
        let chunks = pattern.chunks(bytes);
        self.run(|mut stream| async move {
            for chunk in chunks {
                stream.write_chunk(chunk).await?;
            }
            stream.shutdown().await?;
            Ok((stream, ()))
        })
    }

    fn receive(&mut self) -> Result<Arrived, Failure> {
        self.run(|mut stream| async move {
            let mut tally = Tally::default();
            loop {
                let chunk = stream.read_chunk(CHUNK).await?;
                if chunk.is_empty() {
                    return Ok((stream, tally.arrived()));
                }
                tally.add(&chunk);
            }
        })
    }
}
