//! Finding the clients: in the folders of FARSOCK_INTEROP_TOOLS (separated by colons), then in those of PATH.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

/// A program by that name for which `usable` holds. Without one the test is over: with `None`, after saying so, or by a panic if
/// CI=true.
pub(crate) fn find(name: &str, usable: impl Fn(Command) -> bool) -> Option<PathBuf> {
    let found = folders()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() && usable(Command::new(path)));
    if found.is_none() {
        let missing = format!("no usable {name} in FARSOCK_INTEROP_TOOLS or on PATH");
        assert!(
            env::var("CI").as_deref() != Ok("true"),
            "{missing}, and CI=true wants it: `.ci/run` installs what the tests need"
        );
        // Not by eprintln!, which is shown of failed tests alone.
        let _ = writeln!(io::stderr(), "skipped: {missing}");
    }
    found
}

/// Whether a program runs with these arguments.
pub(crate) fn runs(arguments: &'static [&'static str]) -> impl Fn(Command) -> bool {
    move |mut command| {
        let status = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

/// PATH, with the tools' own folders first: for a shell that is to find them.
pub(crate) fn path() -> OsString {
    env::join_paths(folders()).expect("the folders were split from such lists")
}

fn folders() -> impl Iterator<Item = PathBuf> {
    ["FARSOCK_INTEROP_TOOLS", "PATH"]
        .into_iter()
        .filter_map(env::var_os)
        .flat_map(|list| env::split_paths(&list).collect::<Vec<_>>())
}
