//! Where the demo's unix sockets live: in a private directory that goes with the demo.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Names for unix sockets: in the file system, or abstract where that cannot be.
pub(crate) struct Paths(Option<PathBuf>);

/// The longest path of a unix socket in bytes: sun_path has room for 108, and ends in a NUL.
const LONGEST: usize = 107;

impl Paths {
    /// In a new directory, which nobody else may enter. Without a place for one, or with one whose name is too long, as
    /// [`Paths::none`].
    pub(crate) fn private() -> Self {
        let parent = std::env::temp_dir();
        let usable = |path: &PathBuf| path.to_str().is_some_and(|text| text.len() + 10 < LONGEST);
        // A name that is taken, by whomever, is passed over.
        let directory = (0..100)
            .map(|attempt| parent.join(format!("farsock-demo-{}-{attempt}", std::process::id())))
            .find(|path| usable(path) && create(path).is_ok());
        Self(directory)
    }

    /// Abstract names.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The address of a socket that is to be called `name`, of 9 characters at most.
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
