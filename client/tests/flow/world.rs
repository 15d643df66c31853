//! A daemon, and a client of it.

use farsock_client::Client;
use farsock_daemon::Embedded;

use crate::pipes::{Budgets, Pipes};

pub(crate) struct World {
    pub(crate) client: Client,
    _daemon: Embedded,
}

impl World {
    pub(crate) async fn new() -> Self {
        let daemon = farsock_daemon::embedded();
        let client = Client::connect_with(daemon.connector()).await.unwrap();
        Self {
            client,
            _daemon: daemon,
        }
    }

    /// With connections that break after at most so many bytes, or on demand alone.
    pub(crate) async fn brittle(seed: u64, most: Option<u64>) -> (Self, Pipes) {
        let daemon = farsock_daemon::embedded();
        let mut pipes = Pipes::to(daemon.connector());
        if let Some(most) = most {
            // The first connection is the calls'.
            let (first, others) = (None, 1..=most);
            pipes = pipes.brittle(seed, Budgets { first, others });
        }
        let client = Client::connect_with(pipes.connector()).await.unwrap();
        let world = Self {
            client,
            _daemon: daemon,
        };
        (world, pipes)
    }
}
