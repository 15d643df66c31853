//! `farsock host`: what the daemon's host is, and what works there.

use farsock_client::{Domain, HostInfo, OptionSupport, PrivilegeSupport, Protocol, SocketSupport};
use serde_json::Value;

use crate::{
    args::Global,
    exit::{Failure, Tried},
    kind,
    output::{Format, Output},
    show::Fields,
};

/// Print what the daemon's host is, and what works there
///
/// The daemon's version and instance, the kernel, limits, privileges, and which kinds of sockets can be created. The options are
/// in `opt list`, the interfaces in `interfaces`, the clocks in `clock`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock host
  farsock host -o json | jq -r '.sockets[] | select(.supported) | .kind'")]
pub(crate) struct Host {}

impl Host {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let host = client.host().await.tried(|| "host".to_owned())?;
        let fields = fields(&host);
        if output.format() == Format::Json {
            let mut object = fields.json();
            object["sockets"] = host.sockets.iter().map(|of| socket(of).json()).collect();
            object["privileges"] = host.privileges.iter().map(privilege).collect();
            return Ok(output.json(&object)?);
        }
        // The usual protocols have words of their own: tcp, udp.
        let known = |of: &&SocketSupport| {
            of.protocol != Protocol::Default || !matches!(of.domain, Domain::Inet | Domain::Inet6)
        };
        let sockets = || host.sockets.iter().filter(known);
        let supported: Vec<_> = sockets().filter(|of| of.supported).map(word).collect();
        let missing: Vec<_> = sockets()
            .filter(|of| !of.supported)
            .map(|of| format!("{} ({})", word(of), of.errno_name))
            .collect();
        let granted = host.privileges.iter().filter(|of| of.granted);
        let options = host.options.iter().filter(|of| of.supported).count();
        let fields = fields
            .with(
                "privileges",
                granted.map(name).collect::<Vec<_>>().join(" "),
            )
            .with("sockets", supported.join(" "))
            .with("sockets_missing", missing.join(", "))
            .with(
                "options",
                format!(
                    "{options} of {} supported{}",
                    host.options.len(),
                    unknown(&host.options)
                ),
            );
        Ok(output.fields(&fields)?)
    }
}

fn fields(host: &HostInfo) -> Fields {
    let kernel = Fields::default()
        .with("name", host.kernel.name.clone())
        .with("release", host.kernel.release.clone())
        .with("version", host.kernel.version.clone())
        .with("machine", host.kernel.machine.clone());
    let limits = Fields::default()
        .with("max_handles", host.limits.max_handles)
        .with("open_handles", host.limits.open_handles)
        .with("max_payload_bytes", host.limits.max_payload_bytes)
        .with("max_messages", host.limits.max_messages);
    Fields::default()
        .with("version", host.version.clone())
        .with("instance_id", host.instance_id.clone())
        .with("host_name", host.host_name.clone())
        .with("start_time", host.start_time)
        .group("kernel", kernel)
        .group("limits", limits)
}

fn socket(of: &SocketSupport) -> Fields {
    let errno = Some(of.errno_name.clone()).filter(|name| !name.is_empty());
    Fields::default()
        .with("kind", word(of))
        .with("domain", of.domain.to_string())
        .with("type", of.kind.to_string())
        .with("protocol", of.protocol.to_string())
        .with("supported", of.supported)
        .with("errno_name", errno)
}

fn privilege(of: &PrivilegeSupport) -> Value {
    Fields::default()
        .with("privilege", name(of))
        .with("granted", of.granted)
        .json()
}

fn word(of: &SocketSupport) -> String {
    kind::word(of.domain, of.kind, of.protocol)
}

/// The capability's name, as capabilities(7) has it.
/// What the daemon could not find out now, and why: "; 9 not tried (EMFILE)".
fn unknown(options: &[OptionSupport]) -> String {
    let unknown: Vec<_> = options
        .iter()
        .filter(|of| !of.errno_name.is_empty())
        .collect();
    unknown.first().map_or_else(String::new, |first| {
        format!("; {} not tried ({})", unknown.len(), first.errno_name)
    })
}

fn name(of: &PrivilegeSupport) -> String {
    let name = of.privilege.as_str_name();
    format!("CAP_{}", name.strip_prefix("PRIVILEGE_").unwrap_or(name))
}
