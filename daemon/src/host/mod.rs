//! Questions about the host that take longer than a system call: what can be created here, and what names mean.

mod resolve;

use tokio::sync::OnceCell;

pub(crate) use resolve::{ResolveError, Resolver};

use crate::sys::host::{Support, probe};

/// Which sockets can be created here: found out when first asked, and kept, as the daemon's privileges do not change.
#[derive(Debug, Default)]
pub(crate) struct SocketProbe(OnceCell<Vec<Support>>);

impl SocketProbe {
    /// What the probe found.
    pub(crate) async fn get(&self) -> &[Support] {
        self.0
            .get_or_init(|| async {
                tokio::task::spawn_blocking(probe)
                    .await
                    // It does not panic, and is not run when the runtime has ended, when nobody asks.
                    .unwrap_or_default()
            })
            .await
    }
}
