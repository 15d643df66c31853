//! The door of HostService: what the daemon's host is, and what works there.

mod interfaces;
mod resolve;

use std::{io, sync::Arc, time::UNIX_EPOCH};

use farsock_proto::{
    time,
    v1::{self, host_service_server::HostService},
};
use tokio::sync::OnceCell;
use tonic::{Request, Response, Status};

use super::status;
use crate::{
    engine::Engine,
    error::{Call, Error},
    operation::{MAX_MESSAGES, MAX_PAYLOAD},
    resolver::Resolver,
    shutdown::Shutdown,
    sys::{
        errno,
        host::{self, Support},
        option,
        process::{self, Capabilities, Capability},
    },
};

/// HostService.
#[derive(Debug)]
pub(crate) struct HostDoor {
    engine: Arc<Engine>,
    max_handles: usize,
    /// What works here: found out when first asked, and kept, as neither kernel nor privileges change; but not what was found while
    /// descriptors or memory were short.
    found: OnceCell<Found>,
    resolver: Resolver,
}

impl HostDoor {
    /// A door to the engine's host that looks up at most `resolve_concurrency` names at once.
    pub(crate) fn new(
        engine: Arc<Engine>,
        max_handles: usize,
        resolve_concurrency: usize,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            engine,
            max_handles,
            found: OnceCell::new(),
            resolver: Resolver::new(resolve_concurrency, shutdown),
        }
    }

    async fn found(&self) -> Found {
        let probe = || async {
            let found = tokio::task::spawn_blocking(Found::probe).await;
            // It is not run if the runtime ends, when nobody waits for the answer.
            found.unwrap_or_else(|_ended| Err(Found::default()))
        };
        match self.found.get_or_try_init(probe).await {
            Ok(found) => found.clone(),
            Err(for_now) => for_now,
        }
    }
}

#[tonic::async_trait]
impl HostService for HostDoor {
    async fn get_host(
        &self,
        _: Request<v1::GetHostRequest>,
    ) -> Result<Response<v1::GetHostResponse>, Status> {
        let kernel = host::kernel().map_err(failed("uname"))?;
        let found = self.found().await;
        let granted = on_a_blocking_thread(process::effective_capabilities).await?;
        Ok(Response::new(v1::GetHostResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: self.engine.instance_id().to_owned(),
            host_name: kernel.host_name,
            kernel: Some(v1::Kernel {
                name: kernel.name,
                release: kernel.release,
                version: kernel.version,
                machine: kernel.machine,
            }),
            limits: Some(v1::Limits {
                max_handles: count(self.max_handles),
                open_handles: count(self.engine.open_handles()),
                max_payload_bytes: count(MAX_PAYLOAD),
                max_messages: count(MAX_MESSAGES).try_into().unwrap_or(u32::MAX),
            }),
            sockets: found.sockets,
            options: found.options,
            privileges: privileges(granted.unwrap_or_default()),
            start_time: Some(time::timestamp_to_wire(self.engine.start_time())),
        }))
    }

    async fn list_interfaces(
        &self,
        request: Request<v1::ListInterfacesRequest>,
    ) -> Result<Response<v1::ListInterfacesResponse>, Status> {
        let page = interfaces::Page::from_request(request.get_ref())
            .map_err(|wrong| status::invalid(&wrong))?;
        // netlink(7) and an ioctl(2) for each interface, which wait while others change them.
        let interfaces = on_a_blocking_thread(host::interfaces).await?;
        let interfaces = interfaces.map_err(failed("getifaddrs"))?;
        let (interfaces, next_page_token) = page.of(interfaces);
        Ok(Response::new(v1::ListInterfacesResponse {
            interfaces: interfaces.into_iter().map(interfaces::interface).collect(),
            next_page_token,
        }))
    }

    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let (query, timeout) =
            resolve::query(request.get_ref()).map_err(|wrong| resolve::violations(&wrong))?;
        let answer = self
            .resolver
            .resolve(query, timeout)
            .await
            .map_err(|error| resolve::status(&error))?;
        Ok(Response::new(v1::ResolveResponse {
            addresses: answer.entries.into_iter().map(resolve::resolved).collect(),
            canonical_name: answer.canonical_name.unwrap_or_default(),
        }))
    }

    async fn get_clock(
        &self,
        _: Request<v1::GetClockRequest>,
    ) -> Result<Response<v1::GetClockResponse>, Status> {
        let clocks = host::clocks().map_err(failed("clock_gettime"))?;
        Ok(Response::new(v1::GetClockResponse {
            realtime: Some(time::timestamp_to_wire(UNIX_EPOCH + clocks.realtime)),
            monotonic: Some(time::duration_to_wire(clocks.monotonic)),
            boottime: Some(time::duration_to_wire(clocks.boottime)),
        }))
    }
}

/// What a probe found out, as the API tells it.
#[derive(Clone, Debug, Default)]
struct Found {
    sockets: Vec<v1::SocketSupport>,
    options: Vec<v1::OptionSupport>,
}

impl Found {
    /// Creates some hundred sockets, which can load kernel modules: not for an async worker.
    ///
    /// # Errors
    /// Descriptors or memory were short meanwhile: with all that could be found out, for this once.
    fn probe() -> Result<Self, Self> {
        let mut short = false;
        let sockets = host::probe().into_iter().map(|one| {
            short |= one.short;
            support(one)
        });
        let sockets = sockets.collect();
        let options = option::all().map(|(name, row)| {
            let supported = option::supported(row);
            short |= supported.is_err();
            option_support(name, row, &supported)
        });
        let options = options.collect();
        let found = Self { sockets, options };
        if short { Err(found) } else { Ok(found) }
    }
}

/// A named option, and what this host's kernel does with it.
fn option_support(
    name: v1::SocketOption,
    row: &option::Row,
    supported: &io::Result<bool>,
) -> v1::OptionSupport {
    v1::OptionSupport {
        option: name.into(),
        name: row.name.to_owned(),
        level: row.level_name.to_owned(),
        kind: row.kind().into(),
        settable: row.settable(),
        readable: row.readable(),
        supported: *supported.as_ref().unwrap_or(&false),
        errno_name: match supported {
            Ok(_) => String::new(),
            Err(error) => errno::name_of(error).to_owned(),
        },
    }
}

fn privileges(granted: Capabilities) -> Vec<v1::PrivilegeSupport> {
    [
        (v1::Privilege::NetBindService, Capability::NetBindService),
        (v1::Privilege::NetRaw, Capability::NetRaw),
        (v1::Privilege::NetAdmin, Capability::NetAdmin),
        (v1::Privilege::SysAdmin, Capability::SysAdmin),
    ]
    .into_iter()
    .map(|(privilege, capability)| v1::PrivilegeSupport {
        privilege: privilege.into(),
        granted: granted.has(capability),
    })
    .collect()
}

fn support(support: Support) -> v1::SocketSupport {
    v1::SocketSupport {
        domain: support.domain.named().unwrap_or_default().into(),
        r#type: support.kind.named().unwrap_or_default().into(),
        protocol: support.protocol.named().unwrap_or_default().into(),
        supported: support.refused.is_none(),
        errno_name: support.refused.unwrap_or_default().to_owned(),
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Makes a call that may wait for others on this host.
async fn on_a_blocking_thread<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    // It is not made if the runtime ends.
    let made = tokio::task::spawn_blocking(call).await;
    made.map_err(|_ended| status::status(&Error::Draining))
}

/// What the kernel answered to a call on the host itself.
fn failed(syscall: &'static str) -> impl FnOnce(io::Error) -> Status {
    move |source| status::status(&Call::new(syscall).failed(source))
}
