//! `farsock resolve`: getaddrinfo(3).

use farsock_client::{Domain, ResolveOptions, SocketType};
use serde_json::json;

use crate::{
    args::Global,
    exit::{Failure, Tried},
    output::{Format, Output},
    show::{Fields, Show},
};

/// Resolve a host name and a service name on the daemon's host
///
/// With `-o raw`, prints the addresses alone. Corresponds to getaddrinfo(3).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock resolve localhost
  farsock resolve www.example.org https --type stream
  farsock connect 3 \"$(farsock resolve localhost 4000 --type stream -o raw | head -n 1)\"")]
pub(crate) struct Resolve {
    /// The host's name, or a numeric address; '' for the wildcard address
    name: String,
    /// The service's name, or a port
    #[arg(default_value = "", hide_default_value = true)]
    service: String,
    /// Addresses of one domain alone: inet or inet6
    #[arg(long, value_name = "NAME", value_parser = Domain::parse)]
    domain: Option<Domain>,
    /// For sockets of one type alone: stream, dgram or raw
    #[arg(long, value_name = "NAME", value_parser = SocketType::parse)]
    r#type: Option<SocketType>,
    /// Only numeric hosts: ask no server (AI_NUMERICHOST)
    #[arg(long)]
    numeric: bool,
    /// Tell the canonical name too (AI_CANONNAME)
    #[arg(long)]
    canonical: bool,
}

impl Resolve {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let options = ResolveOptions {
            domain: self.domain,
            kind: self.r#type,
            numeric_host: self.numeric,
            canonical_name: self.canonical,
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let resolution = client
            .resolve_with(&self.name, &self.service, options)
            .await
            .tried(|| {
                format!("resolve {} {}", self.name, self.service)
                    .trim()
                    .to_owned()
            })?;

        let entries: Vec<Fields> = resolution
            .addresses
            .iter()
            .map(|entry| {
                Fields::default()
                    .with("domain", entry.domain.to_string())
                    .with("type", entry.kind.map(|kind| kind.to_string()))
                    .with("protocol", entry.protocol.to_string())
                    .with("address", entry.address.clone())
            })
            .collect();
        match output.format() {
            Format::Json => {
                let addresses: Vec<_> = entries.iter().map(Fields::json).collect();
                output.json(&json!({
                    "addresses": addresses,
                    "canonical_name": resolution.canonical_name,
                }))?;
            }
            Format::Raw => {
                for entry in &resolution.addresses {
                    output.line(entry.address.text())?;
                }
            }
            Format::Table => {
                let rows: Vec<Vec<String>> = entries
                    .iter()
                    .map(|entry| entry.pairs().into_iter().map(|(_, text)| text).collect())
                    .collect();
                output.rows(&["DOMAIN", "TYPE", "PROTOCOL", "ADDRESS"], &rows)?;
                if let Some(name) = resolution.canonical_name {
                    output.line(format_args!("canonical name: {name}"))?;
                }
            }
        }
        Ok(())
    }
}
