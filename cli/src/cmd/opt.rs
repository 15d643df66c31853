//! `farsock opt`: getsockopt(2), setsockopt(2), and what options there are.

use std::str::FromStr;

use farsock_client::{OptionKind, OptionName, OptionSupport, OptionValue};
use serde_json::json;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::{Format, Output},
    payload,
    show::{Fields, Show},
};

/// Read, set and list socket options
///
/// Options are named as in C, SO_RCVBUF or so_rcvbuf, or by LEVEL:NUMBER. Correspond to getsockopt(2) and setsockopt(2).
#[derive(clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Opt {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Get(Get),
    Set(Set),
    List(List),
}

impl Opt {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        match self.verb {
            Verb::Get(verb) => verb.run(global, output).await,
            Verb::Set(verb) => verb.run(global, output).await,
            Verb::List(verb) => verb.run(global, output).await,
        }
    }
}

/// Print an option's value
///
/// In the form that `opt set` reads; TCP_INFO as pairs. Corresponds to getsockopt(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock opt get 1 SO_RCVBUF
  farsock opt get 1 SO_ERROR        the end of a connect that was not waited for
  farsock opt get 1 6:11 -n 8       the first 8 bytes of TCP_INFO, in hexadecimal")]
struct Get {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// The option
    #[arg(value_name = "NAME|LEVEL:NUMBER", value_parser = option_name)]
    name: OptionName,
    /// Room for the value, of options by number and of kind raw [default: 1024]
    #[arg(short = 'n', long, value_name = "BYTES")]
    length: Option<i32>,
}

impl Get {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, name, .. } = self;
        let client = global.client().await?;
        let socket = client.adopt(handle);
        let value = match self.length {
            Some(length) => socket.option_with_length(name, length).await,
            None => socket.option(name).await,
        }
        .tried(|| format!("opt get {handle} {name}"))?;
        match (&value, output.format()) {
            (_, Format::Json) => {
                output.json(&json!({ "option": name.to_string(), "value": value.json() }))?;
            }
            (OptionValue::TcpInfo(info), _) => output.fields(&crate::tcp_info::fields(info))?,
            (value, _) => output.line(value)?,
        }
        Ok(())
    }
}

/// Set an option
///
/// The value is read by the option's kind, which `opt list` tells: on or off; a number; a time such as 2.5s; "off" or a time for
/// SO_LINGER; a name; "GROUP" or "GROUP INTERFACE" for a membership; "GROUP SOURCE" or "GROUP SOURCE INTERFACE" for one of a source;
/// "INTERFACE" for IP_MULTICAST_IF; dont, want, do, probe, interface, omit or their numbers 0 to 5 for IP_MTU_DISCOVER and
/// IPV6_MTU_DISCOVER, as in ip(7); integers with commas; 0x and hexadecimal digits for the structure's bytes. An interface is an
/// index, a name or an IPv4 address of the daemon's host. Corresponds to setsockopt(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock opt set 1 SO_RCVBUF 65536
  farsock opt set 1 SO_LINGER 3s
  farsock opt set 1 IP_ADD_MEMBERSHIP 239.1.2.3 eth0
  farsock opt set 1 IP_MTU_DISCOVER do
  farsock opt set 1 1:8 65536                         SO_RCVBUF by number")]
struct Set {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// The option
    #[arg(value_name = "NAME|LEVEL:NUMBER", value_parser = option_name)]
    name: OptionName,
    /// Its value; several words are one value
    #[arg(required = true, allow_negative_numbers = true)]
    value: Vec<String>,
}

impl Set {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, name, .. } = self;
        let text = self.value.join(" ");
        let value = value(name, &text).map_err(Failure::Usage)?;
        let client = global.client().await?;
        client
            .adopt(handle)
            .set_option(name, value)
            .await
            .tried(|| format!("opt set {handle} {name} {text}"))?;
        Ok(output.done()?)
    }
}

/// List the options that have a name, and what works on the daemon's host
///
/// With -o json: one array with an object for each.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock opt list
  farsock opt list multicast")]
struct List {
    /// Only options whose name holds this, in either case
    pattern: Option<String>,
}

impl List {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        const HEADER: [&str; 5] = ["NAME", "LEVEL", "KIND", "ACCESS", "SUPPORTED"];
        let pattern = self.pattern.unwrap_or_default().to_ascii_uppercase();
        let client = global.client().await?;
        let mut options = client.host().await.tried(|| "opt list".to_owned())?.options;
        options.retain(|option| option.name.contains(&pattern));
        if output.format() == Format::Json {
            let options: Vec<_> = options.iter().map(|of| fields(of).json()).collect();
            return Ok(output.json(&json!(options))?);
        }
        let rows: Vec<_> = options
            .iter()
            .map(|of| {
                let pairs = fields(of).pairs();
                pairs.into_iter().map(|(_, text)| text).collect()
            })
            .collect();
        Ok(output.rows(&HEADER, &rows)?)
    }
}

/// An option and the value it shall have, as `socket -O` takes them.
#[derive(Clone, Debug)]
pub(crate) struct Setting(OptionName, OptionValue);

impl Setting {
    pub(crate) fn into_parts(self) -> (OptionName, OptionValue) {
        (self.0, self.1)
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, text) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        let name = option_name(name)?;
        Ok(Self(name, value(name, text)?))
    }
}

/// An option's name or number; an error that names the call of the API gets the command too.
fn option_name(text: &str) -> Result<OptionName, String> {
    OptionName::parse(text).map_err(|violation| {
        let description = violation.description;
        if description.contains("GetHost") {
            format!("{description}; see `farsock opt list`")
        } else {
            description
        }
    })
}

fn fields(option: &OptionSupport) -> Fields {
    let access = match (option.readable, option.settable) {
        (true, true) => "get,set",
        (true, false) => "get",
        (false, _) => "set",
    };
    Fields::default()
        .with("name", option.name.clone())
        .with("level", option.level.clone())
        .with("kind", kind(option.kind))
        .with("access", access)
        .with("supported", option.supported)
}

fn kind(kind: OptionKind) -> String {
    let name = kind.as_str_name();
    let name = name.strip_prefix("OPTION_KIND_").unwrap_or(name);
    name.to_lowercase().replace('_', "-")
}

/// The daemon reads the text of an option whose kind it knows; of one by number, nobody but the caller does.
fn value(name: OptionName, text: &str) -> Result<OptionValue, String> {
    if let OptionName::Named(_) = name {
        return Ok(OptionValue::Text(text.to_owned()));
    }
    match text.strip_prefix("0x") {
        Some(digits) => {
            payload::from_hex(digits.as_bytes()).map(|bytes| OptionValue::Raw(bytes.into()))
        }
        None => text.parse().map(OptionValue::Integer).map_err(|_| {
            format!("the value of {name} must be a number, or 0x and hexadecimal digits")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_options_by_number_are_numbers_or_bytes() {
        let name = OptionName::parse("1:8").unwrap();
        assert_eq!(value(name, "-5"), Ok(OptionValue::Integer(-5)));
        assert_eq!(
            value(name, "0x0100"),
            Ok(OptionValue::Raw(vec![1, 0].into()))
        );
        assert!(value(name, "on").is_err());
    }

    #[test]
    fn settings_have_an_equals_sign_and_a_known_name() {
        assert!("SO_REUSEADDR=on".parse::<Setting>().is_ok());
        assert!("SO_REUSEADDR".parse::<Setting>().is_err());
        assert!("SO_NONSENSE=1".parse::<Setting>().is_err());
    }
}
