//! What -L, -R and -D are given: ssh's forms, read. Pure.
//!
//! Fields stand between colons. A host in brackets may have colons of its own (IPv6); a field with a slash is the path of a unix
//! socket, in which `\:` is a colon.

use std::{fmt, str::FromStr};

/// `[bind:]port:host:hostport`, with a path in place of either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forwarding {
    pub(super) listen: Listen,
    pub(super) target: Target,
}

/// `[bind:]port`, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    Tcp { bind: Bind, port: u16 },
    Unix(String),
}

/// Where a port is listened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// No field: the loopback addresses.
    Loopback,
    /// `*`, or an empty field: all addresses.
    Any,
    /// This host's.
    Host(String),
}

/// `host:hostport`, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Unix(String),
}

/// `[bind:]port` of -D, which listens at no path, as ssh's does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dynamic {
    pub(super) bind: Bind,
    pub(super) port: u16,
}

impl FromStr for Forwarding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields = fields(text)?;
        let (listen, target) = match &fields[..] {
            [listen, target] if target.is_path => (Listen::read(&[listen])?, Target::path(target)),
            [bind, port, target] if target.is_path && !bind.is_path => {
                (Listen::read(&[bind, port])?, Target::path(target))
            }
            [listen, host, port] => (Listen::read(&[listen])?, Target::read(host, port)?),
            [bind, at, host, port] => (Listen::read(&[bind, at])?, Target::read(host, port)?),
            _ => {
                return Err(
                    "expected [BIND:]PORT:HOST:HOSTPORT, [BIND:]PORT:PATH, PATH:HOST:HOSTPORT or \
                     PATH:PATH; an IPv6 address stands in brackets, and a path has a slash"
                        .to_owned(),
                );
            }
        };
        Ok(Self { listen, target })
    }
}

impl FromStr for Dynamic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields = fields(text)?;
        let listen = match &fields[..] {
            [port] => Listen::read(&[port])?,
            [bind, port] => Listen::read(&[bind, port])?,
            _ => {
                return Err("expected [BIND:]PORT; an IPv6 address stands in brackets".to_owned());
            }
        };
        match listen {
            Listen::Tcp { bind, port } => Ok(Self { bind, port }),
            Listen::Unix(path) => Err(format!("\"{path}\" is a path; -D takes a port")),
        }
    }
}

impl Listen {
    fn read(fields: &[&Field]) -> Result<Self, String> {
        let (bind, port) = match fields {
            [path] if path.is_path => return Ok(Self::Unix(path.text.clone())),
            [port] => (Bind::Loopback, port),
            [bind, _] if bind.is_path => {
                let path = &bind.text;
                return Err(format!("\"{path}\" is a path, and has no port"));
            }
            [bind, port] => (Bind::read(&bind.text), port),
            _ => return Err("expected [BIND:]PORT".to_owned()),
        };
        let port = port.port("to listen at", 0)?;
        Ok(Self::Tcp { bind, port })
    }
}

impl Bind {
    fn read(text: &str) -> Self {
        match text {
            "" | "*" => Self::Any,
            // ssh: "localhost" means the loopback addresses, whatever it resolves to.
            "localhost" => Self::Loopback,
            host => Self::Host(host.to_owned()),
        }
    }
}

impl Target {
    fn path(field: &Field) -> Self {
        Self::Unix(field.text.clone())
    }

    fn read(host: &Field, port: &Field) -> Result<Self, String> {
        if host.is_path {
            let path = &host.text;
            return Err(format!("\"{path}\" is a path, and has no port"));
        }
        if host.text.is_empty() {
            return Err("the host to connect to is missing".to_owned());
        }
        let port = port.port("to connect to", 1)?;
        let host = host.text.clone();
        Ok(Self::Tcp { host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => f.write_str(&host_and_port(host, *port)),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// What stands between two colons.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    text: String,
    is_path: bool,
}

impl Field {
    fn port(&self, what: &str, least: u16) -> Result<u16, String> {
        let text = &self.text;
        match text.parse() {
            // "+80" is a number to Rust, and none to anybody else.
            Ok(port) if port >= least && !text.starts_with('+') => Ok(port),
            _ => Err(format!(
                "the port {what}, \"{text}\", is no number from {least} to 65535"
            )),
        }
    }
}

fn fields(text: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('[') {
            Some(bracketed) => in_brackets(bracketed)?,
            None => plain(rest),
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// What follows "[", up to "]" and the colon behind it.
fn in_brackets(text: &str) -> Result<(Field, Option<&str>), String> {
    let (inside, after) = text
        .split_once(']')
        .ok_or_else(|| format!("\"[{text}\" has no closing bracket"))?;
    let after = match after.strip_prefix(':') {
        None if !after.is_empty() => {
            return Err(format!("\"{after}\" follows \"]\"; a colon must"));
        }
        after => after,
    };
    let field = Field {
        text: inside.to_owned(),
        is_path: false,
    };
    Ok((field, after))
}

/// Up to the next colon that has no backslash before it.
fn plain(text: &str) -> (Field, Option<&str>) {
    let mut field = String::new();
    let mut characters = text.char_indices();
    let mut after = None;
    while let Some((place, character)) = characters.next() {
        match character {
            ':' => {
                after = text.get(place + 1..);
                break;
            }
            '\\' if text[place + 1..].starts_with([':', '\\']) => {
                field.extend(characters.next().map(|(_, escaped)| escaped));
            }
            other => field.push(other),
        }
    }
    let is_path = field.contains('/');
    (
        Field {
            text: field,
            is_path,
        },
        after,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(bind: Bind, port: u16) -> Listen {
        Listen::Tcp { bind, port }
    }

    fn host(host: &str, port: u16) -> Target {
        let host = host.to_owned();
        Target::Tcp { host, port }
    }

    fn read(text: &str) -> (Listen, Target) {
        let forwarding: Forwarding = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        (forwarding.listen, forwarding.target)
    }

    #[test]
    fn all_of_sshs_forms_are_read() {
        let own = |name: &str| Bind::Host(name.to_owned());
        let path = |path: &str| Listen::Unix(path.to_owned());
        let there = |path: &str| Target::Unix(path.to_owned());
        for (text, listen, target) in [
            ("8080:web:80", tcp(Bind::Loopback, 8080), host("web", 80)),
            ("0:web:80", tcp(Bind::Loopback, 0), host("web", 80)),
            (
                "localhost:1:web:80",
                tcp(Bind::Loopback, 1),
                host("web", 80),
            ),
            ("*:1:web:80", tcp(Bind::Any, 1), host("web", 80)),
            (":1:web:80", tcp(Bind::Any, 1), host("web", 80)),
            (
                "[::1]:1:[fe80::1%eth0]:2",
                tcp(own("::1"), 1),
                host("fe80::1%eth0", 2),
            ),
            (
                "10.0.0.1:1:[web]:80",
                tcp(own("10.0.0.1"), 1),
                host("web", 80),
            ),
            (
                "1:/run/a.sock",
                tcp(Bind::Loopback, 1),
                there("/run/a.sock"),
            ),
            ("*:1:/run/a.sock", tcp(Bind::Any, 1), there("/run/a.sock")),
            ("/run/a.sock:web:80", path("/run/a.sock"), host("web", 80)),
            (
                "./a.sock:/run/b.sock",
                path("./a.sock"),
                there("/run/b.sock"),
            ),
            (
                r"/run/a\:b:/run/c\\d\e",
                path("/run/a:b"),
                there(r"/run/c\d\e"),
            ),
        ] {
            assert_eq!(read(text), (listen, target), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "expected [BIND:]PORT:HOST:HOSTPORT"),
            ("8080", "expected [BIND:]PORT:HOST:HOSTPORT"),
            ("8080:web", "expected [BIND:]PORT:HOST:HOSTPORT"),
            ("a:1:b:2:c", "expected [BIND:]PORT:HOST:HOSTPORT"),
            ("::1:8080:web:80", "expected [BIND:]PORT:HOST:HOSTPORT"),
            (
                "x:web:80",
                "the port to listen at, \"x\", is no number from 0 to 65535",
            ),
            ("65536:web:80", "the port to listen at, \"65536\""),
            ("+1:web:80", "the port to listen at, \"+1\""),
            (
                "8080:web:0",
                "the port to connect to, \"0\", is no number from 1 to 65535",
            ),
            ("8080:web:http", "the port to connect to, \"http\""),
            ("8080::80", "the host to connect to is missing"),
            ("[::1:1:web:80", "has no closing bracket"),
            ("[::1]1:web:80", "\"1:web:80\" follows \"]\""),
            ("/a:1:web:80", "\"/a\" is a path, and has no port"),
            (
                "1:/run/a.sock:80",
                "\"/run/a.sock\" is a path, and has no port",
            ),
        ] {
            let error = text.parse::<Forwarding>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        for (text, part) in [
            ("", "the port to listen at, \"\""),
            ("1:2:3", "expected [BIND:]PORT"),
            ("/run/a.sock", "\"/run/a.sock\" is a path; -D takes a port"),
        ] {
            let error = text.parse::<Dynamic>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn dynamic_forwards_take_a_port_and_where_to_listen() {
        let read = |text: &str| text.parse::<Dynamic>().expect(text);
        let (bind, port) = (Bind::Loopback, 1080);
        assert_eq!(read("1080"), Dynamic { bind, port });
        let (bind, port) = (Bind::Host("::1".to_owned()), 0);
        assert_eq!(read("[::1]:0"), Dynamic { bind, port });
    }

    #[test]
    fn an_ipv6_target_is_shown_in_brackets() {
        assert_eq!(host("::1", 80).to_string(), "[::1]:80");
        assert_eq!(host("web", 80).to_string(), "web:80");
    }
}
