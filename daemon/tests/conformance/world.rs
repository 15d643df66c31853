//! What a sequence runs in: the kernel itself, or the daemon.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use farsock_client::{Address, UnixAddress};

use crate::{
    call::{Addr, Call, Slot},
    outcome::{Names, Outcome},
};

/// How long anything may take before it counts as hung. Nothing here takes a tenth of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Makes the calls of one sequence. The sockets that a call makes are known by the slots in `makes` from then on.
pub(crate) trait World {
    /// Makes a call and waits for its end.
    async fn call(&mut self, call: Call, makes: &[Slot]) -> Outcome;
    /// Begins a call under the name `tag`.
    async fn start(&mut self, tag: usize, call: Call);
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
    /// Addresses of sockets when they were last asked for, since closed ones do not tell.
    known: HashMap<Slot, Address>,
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
            known: HashMap::new(),
        }
    }

    /// What `address` is here; `now` is the address of the socket that it refers to, if that is open.
    pub(crate) fn address(&mut self, address: Addr, now: Option<Address>) -> Address {
        let mut of = |slot| {
            if let Some(now) = now.clone() {
                self.known.insert(slot, now);
            }
            self.known
                .get(&slot)
                .cloned()
                .unwrap_or(Address::Unspecified)
        };
        match address {
            Addr::Plain(address) => address,
            Addr::Of(slot) => of(slot),
            Addr::PortOf(slot, host) => {
                let port = of(slot).as_ip().map_or(0, |address| address.port());
                Address::Ip(SocketAddr::new(host, port))
            }
            Addr::Path(name) => {
                let path = self.directory.join(name).to_string_lossy().into_owned();
                UnixAddress::Path(path).into()
            }
            Addr::Abstract(name) => UnixAddress::Abstract(format!("{}-{name}", self.prefix)).into(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is in the temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
