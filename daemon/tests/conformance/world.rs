//! What a sequence runs in: the kernel itself, or the daemon.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use farsock_client::Address;

use crate::{
    call::{Call, Slot},
    outcome::{Failure, Names, Outcome},
};

/// How long anything may take before it counts as hung. Nothing here takes a tenth of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Makes the calls of one sequence. The sockets that a call makes are known by the slots in `makes` from then on.
pub(crate) trait World {
    /// Makes a call and waits for its end.
    async fn call(&mut self, call: Call, makes: &[Slot]) -> Outcome;
    /// Begins a call under the name `tag`.
    async fn start(&mut self, tag: usize, call: Call) -> Result<(), Failure>;
    /// Returns when the call begun as `tag`, which is `call`, waits; says why not if it does not.
    async fn waits(&mut self, tag: usize, call: &Call) -> Result<(), String>;
    /// Waits for the end of the call begun as `tag`.
    async fn finish(&mut self, tag: usize, makes: &[Slot]) -> Outcome;
    /// Closes what the sequence left open.
    async fn end(&mut self);
}

/// Between two looks at a state that has no event.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_micros(200)).await;
}

/// What one world has for itself: a directory, a prefix of abstract names, and what its kernel chose.
pub(crate) struct Place {
    directory: PathBuf,
    prefix: String,
    pub(crate) names: Names,
}

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("farsock-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(&prefix);
        fs::create_dir_all(&directory).expect("the temporary directory can be written to");
        let names = Names::new(&directory.to_string_lossy(), &prefix);
        Self {
            directory,
            prefix,
            names,
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn abstract_name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is in the temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// `host` with the port of `address`.
pub(crate) fn at(host: IpAddr, address: &Address) -> Address {
    let port = address.as_ip().map_or(0, |address| address.port());
    Address::Ip(SocketAddr::new(host, port))
}
