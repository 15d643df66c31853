//! socat: a process for each connection, which copies by read(2) and write(2), 256 KiB at most at a time.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use super::{Connection, Plain, Relay, find};
use crate::{Failure, pattern::CHUNK, process::Process};

/// socat, if it is here.
pub(crate) struct Socat {
    program: PathBuf,
    far_end: SocketAddr,
    /// That of the last connection. It ends by itself with it.
    process: Option<Process>,
}

impl Socat {
    /// socat to the far end; why not, if it is not here.
    pub(crate) fn new(far_end: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            program: find("socat").ok_or("socat is not installed")?,
            far_end,
            process: None,
        })
    }
}

impl Relay for Socat {
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure> {
        let mut command = Command::new(&self.program);
        command
            // It logs where it listens, and a line for a connection's begin and end.
            .args(["-d", "-d"])
            .arg(format!("-b{CHUNK}"))
            .arg("TCP-LISTEN:0,bind=127.0.0.1")
            .arg(format!("TCP:{}", self.far_end));
        self.process = None;
        let process = Process::start_peer(command, address_in)?;
        let connection = Plain::connect(process.address())?;
        self.process = Some(process);
        Ok(Box::new(connection))
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        self.process.as_ref().ok_or("no connection")?.cpu_time()
    }
}

/// The address in a line such as `2025/01/01 00:00:00 socat[7] N listening on AF=2 127.0.0.1:43403`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once(" N listening on ")?;
    let address: SocketAddr = address.rsplit(' ').next()?.parse().ok()?;
    matches!(address.ip(), IpAddr::V4(_)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_tells_it() {
        let line = "2025/01/01 00:00:00 socat[7] N listening on AF=2 127.0.0.1:43403";
        assert_eq!(address_in(line), Some("127.0.0.1:43403".parse().unwrap()));
        assert_eq!(address_in("socat[7] W listening on nothing"), None);
        assert_eq!(address_in("socat[7] N listening on AF=1 \"/tmp/s\""), None);
    }
}
