//! `ssh -L`: a server of its own on a free port, with keys and settings of its own in a temporary folder, and a client that forwards.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Connection, Plain, Relay, find};
use crate::{Failure, process::Process};

/// ssh, if both ends of it are here. Dropped in this order: the server's part of a connection ends when the client does.
pub(crate) struct Ssh {
    client: Process,
    _server: Process,
    _folder: TempDir,
}

impl Ssh {
    /// ssh to the far end; why not, if it is not here or does not let us in.
    pub(crate) fn new(far_end: SocketAddr) -> Result<Self, Failure> {
        let here = |program| find(program).ok_or(format!("{program} is not installed"));
        let (ssh, sshd, keygen) = (here("ssh")?, here("sshd")?, here("ssh-keygen")?);
        let folder = tempfile::Builder::new()
            .prefix("farsock-bench-")
            .tempdir()?;
        let path = folder.path();
        for name in ["host", "client"] {
            make_key(&keygen, &path.join(name))?;
        }
        fs::copy(path.join("client.pub"), path.join("authorized_keys"))?;

        let server_port = free_port()?;
        fs::write(path.join("sshd_config"), server_settings(path, server_port))?;
        let mut command = Command::new(sshd);
        command
            .args(["-D", "-e", "-f"])
            .arg(path.join("sshd_config"));
        let server =
            Process::start_peer(command, |line| address_after(line, "Server listening on "))?;

        let port = free_port()?;
        let mut command = Command::new(ssh);
        command
            .args(["-F", "none", "-v", "-n", "-N", "-a", "-x", "-T"])
            .arg("-i")
            .arg(path.join("client"))
            .args(["-p", &server_port.to_string()])
            .args(["-L", &format!("127.0.0.1:{port}:{far_end}")]);
        for setting in [
            "BatchMode=yes",
            "ExitOnForwardFailure=yes",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            command.args(["-o", setting]);
        }
        command.arg("127.0.0.1");
        let client = Process::start_peer(command, |line| {
            address_after(line, "debug1: Local forwarding listening on ")
        })?;
        Ok(Self {
            client,
            _server: server,
            _folder: folder,
        })
    }
}

impl Relay for Ssh {
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure> {
        Ok(Box::new(Plain::connect(self.client.address())?))
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        Err("the server's part of a connection is not known by its process id".into())
    }
}

fn make_key(keygen: &Path, file: &Path) -> Result<(), Failure> {
    let status = Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ssh-keygen: {status}").into())
    }
}

/// Nothing but what is needed: everything else is the program's default, the ciphers too.
fn server_settings(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\n\
         HostKey {folder}/host\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         PermitRootLogin yes\n\
         StrictModes no\n\
         UsePAM no\n"
    )
}

/// A port that was free a moment ago: neither end of ssh takes 0 for "any".
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The address in a line such as `Server listening on 127.0.0.1 port 2222.`, after that beginning.
fn address_after(line: &str, beginning: &str) -> Option<SocketAddr> {
    let rest = line.trim_end().strip_prefix(beginning)?.strip_suffix('.')?;
    let (host, port) = rest.split_once(" port ")?;
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_tells_it() {
        let line = "Server listening on 127.0.0.1 port 2222.\r";
        let address = address_after(line, "Server listening on ");
        assert_eq!(address, Some("127.0.0.1:2222".parse().unwrap()));
        assert_eq!(
            address_after("Connection closed.", "Server listening on "),
            None
        );
    }
}
