//! farsockd as a process of its own: found or built, and started with its defaults.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Failure, process::Process};

/// The daemon beside this program. If it is not there, or if this program was started by cargo (`cargo run`, so the sources may be
/// newer), cargo builds it there with this program's own profile.
///
/// # Errors
/// It is not there and cannot be built.
pub(crate) fn find_or_build() -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let directory = program.parent().ok_or("this program has no directory")?;
    let daemon = directory.join("farsockd");
    // Set by cargo for what it runs.
    let cargo = env::var_os("CARGO");
    if cargo.is_some() || !daemon.exists() {
        build(cargo.unwrap_or_else(|| "cargo".into()).as_ref(), directory)?;
    }
    if !daemon.exists() {
        return Err(format!("cargo built no {}", daemon.display()).into());
    }
    Ok(daemon)
}

/// Starts the daemon on a loopback port of its choice, with the defaults and without the environment's or a file's settings.
///
/// # Errors
/// It does not come to listen.
pub(crate) fn start(daemon: &Path) -> Result<Process, Failure> {
    let mut command = Command::new(daemon);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"FARSOCKD_") {
            command.env_remove(name);
        }
    }
    command
        .args(["--config", "/dev/null"])
        .args(["--listen", "tcp://127.0.0.1:0"])
        .args(["--log", "json"]);
    Process::start(command)
}

fn build(cargo: &Path, directory: &Path) -> Result<(), Failure> {
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        // The one profile whose directory has another name.
        Some("debug") => "dev",
        Some(name) => name,
        None => return Err("this program's directory has no name".into()),
    };
    let target = directory.parent().ok_or("no target directory")?;
    let status = Command::new(cargo)
        .args(["build", "--package", "farsock-daemon", "--bin", "farsockd"])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{}: {error}", cargo.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err("farsockd could not be built: cargo build -p farsock-daemon --bin farsockd".into())
    }
}
