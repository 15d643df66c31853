//! The server: an engine behind listeners, from its first connection to its last.
//!
//! Tasks: one accept loop per listener and one per connection, all on one tracker that [`Server::run`] waits for; and the one that gives
//! memory back (`memory`), which ends with it.

use std::{io, sync::Arc, time::Duration};

use farsock_proto::{
    codec::MAX_MESSAGE_BYTES,
    v1::{host_service_server::HostServiceServer, journal_service_server::JournalServiceServer},
};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::task::TaskTracker;
use tonic::{
    server::NamedService,
    service::{Routes, RoutesBuilder},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{info, warn};

use crate::{
    config::Config,
    door::{self, host::HostDoor, journal::JournalDoor, session::ApiSessions, stream::StreamDoor},
    engine::{Engine, EngineLimits},
    listener::{ListenAddress, ListenError, Listener, accept, connection::Connections},
    memory,
    shutdown::Shutdown,
};

/// The services whose health is told; "" stands for the whole daemon.
const HEALTH_SERVICES: [&str; 6] = [
    "",
    "farsock.v1.SocketService",
    "farsock.v1.SessionService",
    <StreamDoor as NamedService>::NAME,
    <HostServiceServer<HostDoor> as NamedService>::NAME,
    <JournalServiceServer<JournalDoor> as NamedService>::NAME,
];

/// A daemon that listens, but does not serve yet.
#[derive(Debug)]
pub struct Server {
    config: Config,
    engine: Arc<Engine>,
    listeners: Vec<Listener>,
    gives_memory_back: bool,
}

/// Serves at the listeners until `shutdown`, then closes every socket.
///
/// # Errors
/// The kernel gives no epoll instance; then nothing is served.
pub async fn run(config: Config, listeners: Vec<Listener>, shutdown: Shutdown) -> io::Result<()> {
    Server::new(config, listeners)?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Listens at every address of the configuration.
    ///
    /// # Errors
    /// There is no address, or one cannot be listened at; then none is.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn bind(config: Config) -> Result<Self, ListenError> {
        if config.listen.is_empty() {
            return Err(ListenError::Nowhere);
        }
        let mut listeners = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            let listener = Listener::bind(address).await?;
            info!("listening on {listener}");
            listeners.push(listener);
        }
        Self::new(config, listeners).map_err(ListenError::Engine)
    }

    pub(crate) fn new(config: Config, listeners: Vec<Listener>) -> io::Result<Self> {
        let engine = Engine::new(EngineLimits {
            max_handles: config.max_handles,
            max_waiting: config.max_waiting,
        })?;
        Ok(Self {
            config,
            engine,
            listeners,
            gives_memory_back: false,
        })
    }

    /// Gives memory that the allocator keeps back to the kernel whenever the daemon has become quiet, by malloc_trim(3). For a process that is
    /// nothing but the daemon.
    #[must_use]
    pub fn giving_memory_back(mut self) -> Self {
        self.gives_memory_back = true;
        self
    }

    /// Where clients reach it, with the ports that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.listeners
            .iter()
            .filter_map(Listener::address)
            .collect()
    }

    /// Serves until `shutdown`, then closes every socket.
    pub async fn run(self, shutdown: Shutdown) {
        let engine = Arc::clone(&self.engine);
        let sessions = ApiSessions::start(Arc::clone(&engine));
        let mut health = HealthReporter::new();
        report(&health, ServingStatus::Serving).await;
        let routes = routes(&engine, &sessions, &self.config, &health, &shutdown);
        let memory = Arc::clone(&engine.memory);
        let connections = Connections::new(routes, shutdown.clone(), Arc::clone(&memory));
        // Dropped with this future, and so ended.
        let mut giving = JoinSet::new();
        if self.gives_memory_back {
            giving.spawn(memory::give_back(memory));
        }
        let permits = Arc::new(Semaphore::new(self.config.max_connections));
        let tasks = TaskTracker::new();
        for listener in self.listeners {
            tasks.spawn(accept::run(
                listener,
                connections.clone(),
                Arc::clone(&permits),
                tasks.clone(),
            ));
        }

        shutdown.draining().await;
        let deadline = Instant::now() + self.config.drain_timeout;
        tasks.close();
        report(&health, ServingStatus::NotServing).await;
        engine.drain();
        let ended = async {
            engine.idle().await;
            sessions.drain();
            engine.journal.end();
            // Whoever watches the health has a call that only this ends.
            for service in HEALTH_SERVICES {
                health.clear_service_status(service).await;
            }
            tasks.wait().await;
        };
        tokio::select! {
            () = ended => {}
            () = shutdown.immediate() => {}
            () = tokio::time::sleep_until(deadline) => {
                warn!(timeout = ?self.config.drain_timeout, "connections are cut that did not end in time");
                shutdown.now();
            }
        }
        let no_longer = async {
            tokio::select! {
                () = shutdown.immediate() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        };
        engine.close_all(no_longer).await;
        // Cut connections end by themselves, and at once; whatever does not is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await;
        info!("ended");
    }
}

/// Every service of the daemon.
fn routes(
    engine: &Arc<Engine>,
    sessions: &Arc<ApiSessions>,
    config: &Config,
    health: &HealthReporter,
    shutdown: &Shutdown,
) -> Routes {
    let host = HostDoor::new(
        Arc::clone(engine),
        config.max_handles,
        config.resolve_concurrency,
        shutdown.clone(),
    );
    let health = tonic_health::server::HealthService::from_health_reporter(health.clone());
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(
            door::socket_service(Arc::clone(engine), Arc::clone(sessions))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            door::session::session_service(Arc::clone(engine), Arc::clone(sessions))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(StreamDoor::new(Arc::clone(engine)))
        .add_service(HostServiceServer::new(host).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(
            JournalServiceServer::new(JournalDoor::new(Arc::clone(engine), Arc::clone(sessions)))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(door::reflection::v1())
        .add_service(door::reflection::v1alpha());
    routes.routes()
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for service in HEALTH_SERVICES {
        health.set_service_status(service, status).await;
    }
}
