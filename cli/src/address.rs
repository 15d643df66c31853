//! Addresses on the command line: checked here for their form, read by the daemon, whose host knows its interfaces.

use std::fmt;

use farsock_client::Address;

/// An address in the text form of the API.
#[derive(Clone, Debug)]
pub(crate) struct AddressArg(String);

impl AddressArg {
    /// The text, for the daemon to read.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for AddressArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Any zone passes: only the daemon's host knows the names of its interfaces.
        match Address::parse(text, &|_| Some(1)) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(violation) => Err(with_command(text, violation.description)),
        }
    }
}

impl fmt::Display for AddressArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds the command to a description that names the call of the API.
fn with_command(text: &str, description: String) -> String {
    if !description.contains("Resolve") {
        return description;
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    // A number that is too large is no service's name either.
    if port.parse::<u64>().is_ok_and(|port| port > u16::MAX.into()) {
        return format!("{description}: `farsock resolve HOST SERVICE`");
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    format!(
        "{description}: `{}`",
        format!("farsock resolve {host} {port}").trim_end()
    )
}

/// Adds to a command's examples how addresses are written.
macro_rules! with_address_forms {
    ($examples:literal) => {
        concat!(
            $examples,
            "

Addresses, always numeric (see `farsock resolve`):
  127.0.0.1:80  [::1]:80  [fe80::1%eth0]:80     internet
  unix:/run/a.sock  unix-abstract:name  unix:   unix, by path, abstract, without a name
  vsock:3:1234                                  vsock, context id and port
  raw:FAMILY:HEX                                any other, as the bytes of its structure
  unspecified                                   AF_UNSPEC
In unix names, as printed too: \\x1b, \\u{430}    a character by its number; \\\\ is a backslash"
        )
    };
}
pub(crate) use with_address_forms;
