//! The daemon's health, as grpc.health.v1 reports it: it follows the listeners.
//!
//! Tasks: none; [`Health::follow`] is polled by [`Server::run`](crate::server::Server::run) until it drains.

use std::sync::Arc;

use farsock_proto::v1::{
    host_service_server::HostServiceServer, journal_service_server::JournalServiceServer,
};
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, HealthService},
};

use crate::door::{host::HostDoor, journal::JournalDoor, stream::StreamDoor};

/// The services whose health is reported; "" stands for the whole daemon. All are served at all listeners.
const SERVICES: [&str; 6] = [
    "",
    "farsock.v1.SocketService",
    "farsock.v1.SessionService",
    <StreamDoor as NamedService>::NAME,
    <HostServiceServer<HostDoor> as NamedService>::NAME,
    <JournalServiceServer<JournalDoor> as NamedService>::NAME,
];

/// The health of one daemon.
#[derive(Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    /// How many listeners fail at the moment.
    failing: Arc<watch::Sender<usize>>,
}

impl Health {
    /// SERVING.
    pub(crate) async fn new() -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            failing: Arc::new(watch::Sender::new(0)),
        };
        health.report(ServingStatus::Serving).await;
        health
    }

    /// The service that clients ask.
    pub(crate) fn service(&self) -> HealthService {
        HealthService::from_health_reporter(self.reporter.clone())
    }

    /// The state of a listener that works.
    pub(crate) fn listener(&self) -> ListenerState {
        ListenerState {
            failing: Arc::clone(&self.failing),
            fails: false,
        }
    }

    /// Reports NOT_SERVING whenever a listener fails, and SERVING when all work again. Has no end.
    pub(crate) async fn follow(&self) {
        let mut failing = self.failing.subscribe();
        loop {
            let status = match *failing.borrow_and_update() {
                0 => ServingStatus::Serving,
                _ => ServingStatus::NotServing,
            };
            self.report(status).await;
            if failing.changed().await.is_err() {
                // The sender is `self`'s.
                return;
            }
        }
    }

    /// Reports NOT_SERVING: the daemon drains.
    pub(crate) async fn drain(&self) {
        self.report(ServingStatus::NotServing).await;
    }

    /// Ends the calls that watch the health, which nothing else ends.
    pub(crate) async fn end(&mut self) {
        for service in SERVICES {
            self.reporter.clear_service_status(service).await;
        }
    }

    async fn report(&self, status: ServingStatus) {
        for service in SERVICES {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// Whether one listener fails.
#[derive(Debug)]
pub(crate) struct ListenerState {
    failing: Arc<watch::Sender<usize>>,
    fails: bool,
}

impl ListenerState {
    pub(crate) fn fails(&self) -> bool {
        self.fails
    }

    pub(crate) fn set_fails(&mut self, fails: bool) {
        if self.fails != fails {
            self.fails = fails;
            self.failing.send_modify(|count| match fails {
                true => *count += 1,
                false => *count -= 1,
            });
        }
    }
}
