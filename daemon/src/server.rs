//! The server: an engine behind listeners, from its first connection to its last.
//!
//! Tasks: one accept loop per listener and one per connection, all on one tracker that [`Server::run`] waits for; the one that gives
//! memory back (`memory`), and those of [`Server::with_essential`], which end with it.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use farsock_proto::{
    codec::MAX_MESSAGE_BYTES,
    v1::{host_service_server::HostServiceServer, journal_service_server::JournalServiceServer},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::task::TaskTracker;
use tonic::service::{Routes, RoutesBuilder};
use tracing::{error, info, warn};

use crate::{
    config::Config,
    door::{self, host::HostDoor, journal::JournalDoor, session::ApiSessions, stream::StreamDoor},
    engine::{Allowed, Engine, EngineLimits},
    essential::EssentialEnded,
    health::Health,
    listener::{
        ListenAddress, ListenError, Listener,
        accept::{self, Places},
        connection::Connections,
    },
    memory,
    shutdown::Shutdown,
    sys::option::Unlisted,
};

/// A daemon that listens, but does not serve yet.
#[derive(Debug)]
pub struct Server {
    config: Config,
    engine: Arc<Engine>,
    listeners: Vec<Listener>,
    live: Live,
    gives_memory_back: bool,
    essential: Vec<EssentialTask>,
}

/// The settings of a server that can change while it serves; clones are the same server's.
#[derive(Clone, Debug)]
pub struct Live {
    engine: Arc<Engine>,
    places: Arc<Places>,
    drain_timeout: Arc<Mutex<Duration>>,
}

impl Live {
    /// Takes over `max_connections`, `max_waiting` and `drain_timeout`. Connections and operations beyond a lower limit go on.
    pub fn apply(&self, config: &Config) {
        self.places.set_most(config.max_connections);
        self.engine.set_max_waiting(config.max_waiting);
        *self.lock() = config.drain_timeout;
    }

    fn drain_timeout(&self) -> Duration {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        // A duration is whole at every moment.
        self.drain_timeout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task of the program's that the server watches, and what it is.
struct EssentialTask(&'static str, Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for EssentialTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Serves at the listeners until `shutdown`, then closes every socket.
///
/// # Errors
/// The kernel gives no epoll instance; then nothing is served. Or an essential task has ended, see [`Server::run`].
pub async fn run(config: Config, listeners: Vec<Listener>, shutdown: Shutdown) -> io::Result<()> {
    let server = Server::new(config, listeners)?;
    server.run(shutdown).await.map_err(io::Error::other)
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
            allowed: Allowed {
                families: unlisted(config.allow_raw_families),
                options: unlisted(config.allow_raw_options),
            },
        })?;
        let live = Live {
            engine: Arc::clone(&engine),
            places: Arc::new(Places::new(config.max_connections)),
            drain_timeout: Arc::new(Mutex::new(config.drain_timeout)),
        };
        Ok(Self {
            config,
            engine,
            listeners,
            live,
            gives_memory_back: false,
            essential: Vec::new(),
        })
    }

    /// The settings that can change while it serves.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Runs `task` beside the server, which ends when the task does: for what the program cannot do without, such as handling signals.
    /// `name` is what the error calls it.
    #[must_use]
    pub fn with_essential(
        mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.essential.push(EssentialTask(name, Box::pin(task)));
        self
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
    ///
    /// # Errors
    /// A task that the daemon cannot do without has ended or panicked: an accept loop, the reactor, the one that ends leases, or one of
    /// [`with_essential`](Self::with_essential)'s. Then it has drained and closed every socket as on `shutdown`.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), EssentialEnded> {
        let engine = Arc::clone(&self.engine);
        let sessions = ApiSessions::start(Arc::clone(&engine));
        let mut health = Health::new().await;
        let routes = routes(&engine, &sessions, &self.config, &health, &shutdown);
        let memory = Arc::clone(&engine.memory);
        let connections = Connections::new(routes, shutdown.clone(), Arc::clone(&memory));
        // Dropped with this future, and so ended.
        let mut beside = JoinSet::new();
        if self.gives_memory_back {
            beside.spawn(memory::give_back(memory));
        }
        for EssentialTask(name, task) in self.essential {
            beside.spawn(engine.essential.watch(name, task));
        }
        let tasks = TaskTracker::new();
        for listener in self.listeners {
            let guard = engine
                .essential
                .guard(format!("the accept loop of {listener}"));
            let accepting = accept::run(
                listener,
                connections.clone(),
                Arc::clone(&self.live.places),
                tasks.clone(),
                health.listener(),
            );
            tasks.spawn(async move { guard.end(accepting.await) });
        }

        tokio::select! {
            () = shutdown.draining() => {}
            () = engine.essential.any_ended() => shutdown.drain(),
            () = health.follow() => {}
        }
        let drain_timeout = self.live.drain_timeout();
        let deadline = Instant::now() + drain_timeout;
        tasks.close();
        health.drain().await;
        engine.drain();
        // After the drain has begun: nothing that concerns the log comes before it.
        let broken = engine.essential.ended();
        if let Some(ended) = &broken {
            error!("{ended}: draining");
        }
        let ended = async {
            engine.idle().await;
            sessions.drain();
            engine.journal.end();
            // Whoever watches the health has a call that only this ends.
            health.end().await;
            tasks.wait().await;
        };
        tokio::select! {
            () = ended => {}
            () = shutdown.immediate() => {}
            () = tokio::time::sleep_until(deadline) => {
                shutdown.now();
                warn!(timeout = ?drain_timeout, "connections are cut that did not end in time");
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
        // One that ended during the drain may have kept something from its end.
        broken.or(engine.essential.ended()).map_or(Ok(()), Err)
    }
}

fn unlisted(allow: bool) -> Unlisted {
    match allow {
        true => Unlisted::Allowed,
        false => Unlisted::Refused,
    }
}

/// Every service of the daemon.
fn routes(
    engine: &Arc<Engine>,
    sessions: &Arc<ApiSessions>,
    config: &Config,
    health: &Health,
    shutdown: &Shutdown,
) -> Routes {
    let host = HostDoor::new(
        Arc::clone(engine),
        config.max_handles,
        config.resolve_concurrency,
        shutdown.clone(),
    );
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
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            health.service(),
        ))
        .add_service(door::reflection::v1())
        .add_service(door::reflection::v1alpha());
    routes.routes()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    /// The end of a server after `break_it`, without an order to end.
    async fn ended(server: Server) -> String {
        let ended = tokio::time::timeout(Duration::from_secs(20), server.run(Shutdown::new()));
        let ended = ended.await.expect("it ends").unwrap_err().to_string();
        ended.split(';').next().unwrap_or_default().to_owned()
    }

    fn server(listeners: Vec<Listener>) -> Server {
        Server::new(Config::embedded(), listeners).unwrap()
    }

    #[tokio::test]
    async fn a_listener_that_accepts_no_more_ends_the_daemon() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let same = socket2::Socket::from(listener.try_clone().unwrap());
        let listener = Listener::tcp(TcpListener::from_std(listener).unwrap()).unwrap();
        let (memory, _connector) = Listener::memory();
        let server = server(vec![memory, listener]);
        let ended = tokio::spawn(ended(server));
        tokio::task::yield_now().await;
        same.shutdown(std::net::Shutdown::Both).unwrap();
        let ended = ended.await.unwrap();
        assert!(
            ended.starts_with(&format!(
                "the accept loop of tcp://{address} cannot go on: "
            )),
            "{ended}"
        );
    }

    #[tokio::test]
    async fn the_end_of_any_essential_task_ends_the_daemon() {
        let one = server(Vec::new());
        one.engine.reactor.abort();
        assert_eq!(ended(one).await, "the reactor ended");

        let one = server(Vec::new());
        let (engine, shutdown) = (Arc::clone(&one.engine), Shutdown::new());
        let sessions = ApiSessions::start(engine);
        let run = tokio::spawn(one.run(shutdown));
        // Its registry's, as `run` has one of its own.
        drop(sessions);
        let ended_by_leases = run.await.unwrap().unwrap_err();
        assert!(
            ended_by_leases
                .to_string()
                .starts_with("the task that ends leases ended"),
            "{ended_by_leases}"
        );

        let one = server(Vec::new()).with_essential("the task", async { panic!("on purpose") });
        assert_eq!(ended(one).await, "the task panicked");
    }

    #[tokio::test]
    async fn health_follows_each_listener() {
        let health = Health::new().await;
        let service = health.service();
        let status = async || {
            let request = tonic_health::pb::HealthCheckRequest::default();
            let answer = service.check(tonic::Request::new(request)).await.unwrap();
            answer.into_inner().status()
        };
        let (mut one, mut other) = (health.listener(), health.listener());
        let until = async |wanted| {
            while status().await != wanted {
                tokio::task::yield_now().await;
            }
        };
        use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
        let listeners = async {
            until(Serving).await;
            one.set_fails(true);
            other.set_fails(true);
            until(NotServing).await;
            one.set_fails(false);
            one.set_fails(false);
            other.set_fails(false);
            until(Serving).await;
        };
        tokio::select! {
            () = health.follow() => unreachable!("it has no end"),
            () = listeners => {}
        }
    }
}
