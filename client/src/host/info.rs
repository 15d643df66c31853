//! What the host is, and what works there.

use std::time::SystemTime;

use farsock_proto::{Violation, v1};

use crate::{
    Client, Domain, Kernel, Limits, OptionKind, Privilege, Protocol, Result, SocketOption,
    SocketType, call::Rpc, convert,
};

impl Rpc for v1::GetHostRequest {
    type Response = v1::GetHostResponse;
    const PATH: &'static str = "/farsock.v1.HostService/GetHost";
    const VERB: &'static str = "host";
}

/// The host and its daemon. What a newer daemon has and this client has no name for is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct HostInfo {
    /// The daemon's version, such as "0.1.0".
    pub version: String,
    /// 32 hexadecimal digits chosen at the daemon's start: another id means another daemon, whose
    /// handles mean other sockets.
    pub instance_id: String,
    /// The host's name.
    pub host_name: String,
    /// The kernel.
    pub kernel: Kernel,
    /// The daemon's limits.
    pub limits: Limits,
    /// Which sockets can be created here.
    pub sockets: Vec<SocketSupport>,
    /// Every option that has a name.
    pub options: Vec<OptionSupport>,
    /// Privileges that socket calls may need, and whether the daemon has them.
    pub privileges: Vec<PrivilegeSupport>,
    /// When the daemon started, by its own clock.
    pub start_time: SystemTime,
}

/// Whether one kind of socket can be created, as found by creating one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSupport {
    /// The domain.
    pub domain: Domain,
    /// The type.
    pub kind: SocketType,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether socket(2) made one.
    pub supported: bool,
    /// The errno's name if it did not, such as "EAFNOSUPPORT"; else empty.
    pub errno_name: String,
}

/// One named option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSupport {
    /// The option.
    pub option: SocketOption,
    /// Its C name, such as "SO_REUSEADDR".
    pub name: String,
    /// Its level's C name, such as "SOL_SOCKET".
    pub level: String,
    /// What values it takes.
    pub kind: OptionKind,
    /// Whether setsockopt(2) takes it.
    pub settable: bool,
    /// Whether getsockopt(2) takes it.
    pub readable: bool,
    /// Whether this host's kernel knows it. One that can only be set counts as supported.
    pub supported: bool,
    /// If that could not be found out now, since the daemon's descriptors or memory were short: the errno's name, such as "EMFILE". Empty
    /// otherwise.
    pub errno_name: String,
}

/// Whether the daemon has a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivilegeSupport {
    /// The privilege.
    pub privilege: Privilege,
    /// Whether it is in the daemon's effective set.
    pub granted: bool,
}

impl Client {
    /// Tells the daemon's version and instance, the kernel, the limits, and what works on the host.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn host(&self) -> Result<HostInfo> {
        self.ask(v1::GetHostRequest {}, host_info).await
    }

    /// The instance id alone.
    pub(crate) async fn instance_id(&self) -> Result<String> {
        self.ask(v1::GetHostRequest {}, |response| {
            if response.instance_id.is_empty() {
                return Err(Violation::new("instance_id", "empty"));
            }
            Ok(response.instance_id)
        })
        .await
    }
}

fn host_info(response: v1::GetHostResponse) -> Result<HostInfo, Violation> {
    Ok(HostInfo {
        start_time: convert::time("start_time", response.start_time)?,
        version: response.version,
        instance_id: response.instance_id,
        host_name: response.host_name,
        kernel: response.kernel.unwrap_or_default(),
        limits: response.limits.unwrap_or_default(),
        sockets: response.sockets.into_iter().filter_map(socket).collect(),
        options: response.options.into_iter().filter_map(option).collect(),
        privileges: response
            .privileges
            .into_iter()
            .filter_map(privilege)
            .collect(),
    })
}

fn socket(support: v1::SocketSupport) -> Option<SocketSupport> {
    Some(SocketSupport {
        domain: Domain::from_wire(support.domain).ok()?,
        kind: SocketType::from_wire(support.r#type).ok()?,
        protocol: Protocol::from_wire(support.protocol).ok()?,
        supported: support.supported,
        errno_name: support.errno_name,
    })
}

fn option(support: v1::OptionSupport) -> Option<OptionSupport> {
    Some(OptionSupport {
        option: SocketOption::try_from(support.option).ok()?,
        kind: OptionKind::try_from(support.kind).ok()?,
        name: support.name,
        level: support.level,
        settable: support.settable,
        readable: support.readable,
        supported: support.supported,
        errno_name: support.errno_name,
    })
}

fn privilege(support: v1::PrivilegeSupport) -> Option<PrivilegeSupport> {
    Some(PrivilegeSupport {
        privilege: Privilege::try_from(support.privilege).ok()?,
        granted: support.granted,
    })
}
