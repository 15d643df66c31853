//! What the arguments of nc come to: they mean one thing with -l, another with -U. Pure.

use std::ops::RangeInclusive;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Connects to a port of a host.
    Connect { host: String, port: String },
    /// Listens at a port of a host, or of all of the host's addresses.
    Listen { host: Option<String>, port: String },
    /// Tries ports, one after the other.
    Scan {
        host: String,
        ports: RangeInclusive<u16>,
    },
    /// Connects to a unix socket.
    ConnectUnix { path: String },
    /// Listens at a path.
    ListenUnix { path: String },
}

/// The arguments that decide it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words<'a> {
    pub(super) first: Option<&'a str>,
    pub(super) second: Option<&'a str>,
    pub(super) listen: bool,
    pub(super) unix: bool,
    pub(super) scan: bool,
    /// The value of -p.
    pub(super) source_port: Option<u16>,
    /// Whether there is an -s.
    pub(super) source: bool,
}

impl Words<'_> {
    /// What they come to, or what is wrong with them.
    pub(super) fn plan(self) -> Result<Plan, String> {
        let (first, second) = (
            self.first.map(str::to_owned),
            self.second.map(str::to_owned),
        );
        if self.unix {
            return match (first, second) {
                (Some(path), None) if self.listen => Ok(Plan::ListenUnix { path }),
                (Some(path), None) => Ok(Plan::ConnectUnix { path }),
                (None, _) => Err("-U takes the path of a socket".to_owned()),
                (Some(_), Some(word)) => Err(format!("-U takes one path; \"{word}\" is too much")),
            };
        }
        if self.listen {
            return match (first, second, self.source_port) {
                (Some(host), Some(_), _) | (Some(host), None, Some(_)) if self.source => Err(
                    format!("-s and \"{host}\" both name the address to listen at"),
                ),
                (host, None, Some(port)) => Ok(Plan::Listen {
                    host,
                    port: port.to_string(),
                }),
                (Some(port), None, None) => Ok(Plan::Listen { host: None, port }),
                (host, Some(port), None) => Ok(Plan::Listen { host, port }),
                (_, Some(port), Some(_)) => {
                    Err(format!("-p and \"{port}\" both name the port to listen at"))
                }
                (None, None, None) => Err("-l takes a port to listen at".to_owned()),
            };
        }
        let (Some(host), Some(port)) = (first, second) else {
            return Err("a host and a port are needed".to_owned());
        };
        if self.scan {
            let ports = ports(&port)?;
            return Ok(Plan::Scan { host, ports });
        }
        Ok(Plan::Connect { host, port })
    }
}

/// A port, or a range of them: "20-30".
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("the port \"{text}\" is no number from 1 to 65535")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("the range {first}-{last} is empty"));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'a>(first: &'a str, second: Option<&'a str>) -> Words<'a> {
        Words {
            first: Some(first),
            second,
            ..Words::default()
        }
    }

    #[test]
    fn a_host_and_a_port_are_connected_to_and_one_alone_is_too_little() {
        let plan = words("localhost", Some("http")).plan();
        let (host, port) = ("localhost".to_owned(), "http".to_owned());
        assert_eq!(plan, Ok(Plan::Connect { host, port }));
        assert!(words("localhost", None).plan().is_err());
        assert!(Words::default().plan().is_err());
    }

    #[test]
    fn listening_takes_a_port_alone_or_after_a_host_or_by_p() {
        let listen = |host: Option<&str>, port: &str| {
            Ok(Plan::Listen {
                host: host.map(str::to_owned),
                port: port.to_owned(),
            })
        };
        let listening = |words: Words<'_>, source_port| {
            Words {
                listen: true,
                source_port,
                ..words
            }
            .plan()
        };
        assert_eq!(listening(words("80", None), None), listen(None, "80"));
        let both = words("::1", Some("80"));
        assert_eq!(listening(both, None), listen(Some("::1"), "80"));
        assert!(listening(both, Some(81)).is_err());
        assert_eq!(
            listening(words("::1", None), Some(81)),
            listen(Some("::1"), "81")
        );
        assert_eq!(listening(Words::default(), Some(81)), listen(None, "81"));
        assert!(listening(Words::default(), None).is_err());
        let source = Words {
            source: true,
            ..both
        };
        assert!(listening(source, None).is_err());
    }

    #[test]
    fn a_scan_takes_a_port_or_a_range_that_is_not_empty() {
        let scan = |port| {
            Words {
                scan: true,
                ..words("h", Some(port))
            }
            .plan()
        };
        let found = |ports| {
            Ok(Plan::Scan {
                host: "h".to_owned(),
                ports,
            })
        };
        assert_eq!(scan("80"), found(80..=80));
        assert_eq!(scan("20-65535"), found(20..=65_535));
        for wrong in ["0", "30-20", "1-65536", "http", "-", "1-2-3"] {
            assert!(scan(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_unix_socket_takes_one_path() {
        let path = Words {
            unix: true,
            ..words("/run/a.sock", None)
        };
        let name = || "/run/a.sock".to_owned();
        assert_eq!(path.plan(), Ok(Plan::ConnectUnix { path: name() }));
        let listening = Words {
            listen: true,
            ..path
        };
        assert_eq!(listening.plan(), Ok(Plan::ListenUnix { path: name() }));
        let too_much = Words {
            second: Some("80"),
            ..path
        };
        assert!(too_much.plan().is_err());
    }
}
