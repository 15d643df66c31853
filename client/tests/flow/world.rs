//! A daemon, and a client of it.

use farsock_client::Client;

use crate::{pipe::Pipes, standin::Standin};

pub(crate) struct World {
    pub(crate) client: Client,
    _daemon: Standin,
}

impl World {
    pub(crate) async fn new() -> Self {
        let daemon = Standin::new().await;
        let client = Client::connect_with(daemon.connector()).await.unwrap();
        Self {
            client,
            _daemon: daemon,
        }
    }

    /// With connections that break.
    pub(crate) async fn brittle(seed: u64, budget: Option<i64>) -> (Self, Pipes) {
        let daemon = Standin::new().await;
        let pipes = Pipes::to(daemon.connector(), seed, budget);
        let client = Client::connect_with(pipes.connector()).await.unwrap();
        let world = Self {
            client,
            _daemon: daemon,
        };
        (world, pipes)
    }
}
