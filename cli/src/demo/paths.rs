//! Where the demo's unix sockets live: in a private directory that goes with the demo.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::exit::Failure;

/// Names for unix sockets in the file system; none if the daemon may not share this one's.
pub(crate) struct Paths(Option<PathBuf>);

impl Paths {
    /// A new directory, which nobody else may enter.
    pub(crate) fn private() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        // A name that is taken, by whomever, is passed over.
        for attempt in 0..100 {
            let path = parent.join(format!("farsock-demo-{}-{attempt}", std::process::id()));
            match create(&path) {
                Ok(()) => return Ok(Self(Some(path))),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::Local(format!("{}: {error}", path.display()))),
            }
        }
        let parent = parent.display();
        Err(Failure::Local(format!("{parent}: no name is free")))
    }

    /// No paths.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The address of a socket that is to be called `name`: a path, or else an abstract name.
    pub(super) fn address(&self, name: &str) -> String {
        match &self.0 {
            Some(directory) => format!("unix:{}", directory.join(name).display()),
            None => format!("unix-abstract:farsock-demo-{}-{name}", std::process::id()),
        }
    }
}

impl Drop for Paths {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // What stays behind is in the temporary directory: nothing to fail for.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> std::io::Result<()> {
    fs::create_dir(path)
}
