//! The unix listener: a socket file that is the owner's alone from its first moment to its removal.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::{Arrival, BACKLOG, ListenAddress, ListenError, Peer};
use crate::{engine::Owner, sys::process};

/// The socket's mode: the kernel asks for write permission to connect.
const SOCKET_MODE: u32 = 0o600;

/// The mode of a directory that is made for the socket.
const DIRECTORY_MODE: u32 = 0o700;

/// How often, and how far apart, to ask for the lock on the directory: another daemon holds it for the length of its own bind.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A listening unix socket and the file that names it, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file: at the end, another file under the same name is not ours to remove. The number cannot be
    /// given to another file while `listener` is open.
    identity: (u64, u64),
    /// The daemon's own user.
    uid: u32,
}

impl UnixSocket {
    /// Listens at `path`. A missing directory is made with mode 0700; a socket file that no process listens at is replaced.
    pub(super) async fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |doing| {
            move |source| ListenError::Io {
                address: ListenAddress::Unix(path.to_owned()),
                doing,
                source,
            }
        };
        let uid = process::effective_uid();
        let directory = path.parent().unwrap_or(Path::new("/"));
        prepare(directory, path, uid)?;

        // Two daemons that start at once must not both find the file stale.
        let lock = File::open(directory).map_err(failed("open the directory"))?;
        acquire(&lock)
            .await
            .map_err(failed("lock the directory, which another process holds"))?;
        remove_stale(path)?;
        let listener = listen(path).map_err(failed("bind and listen"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("find the new socket"))?;
        let socket = Self {
            listener,
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            uid,
        };
        // The umask can have taken the owner's own bits.
        if metadata.permissions().mode() & 0o777 != SOCKET_MODE {
            fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
                .map_err(failed("set the mode"))?;
        }
        Ok(socket)
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, or a stranger who was turned away.
    pub(super) async fn accept(&self) -> io::Result<Arrival> {
        let (stream, _) = self.listener.accept().await?;
        // SO_PEERCRED: the user who called connect(2).
        let peer = stream.peer_cred()?;
        if !may_speak(peer.uid(), self.uid) {
            return Ok(Arrival::Stranger { uid: peer.uid() });
        }
        Ok(Arrival::Connection(
            Box::new(stream),
            Owner::Uid(peer.uid()),
            Peer::Unix {
                uid: peer.uid(),
                pid: peer.pid(),
            },
        ))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path)
            .ok()
            .map(|metadata| (metadata.dev(), metadata.ino()));
        if now == Some(self.identity) {
            // Whoever removed it in between did what was wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a user may speak to the daemon: its own one, and root, who could do anything anyway.
fn may_speak(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Makes the directory, or tightens the default one.
fn prepare(directory: &Path, path: &Path, uid: u32) -> Result<(), ListenError> {
    let failed = |doing| {
        move |source| ListenError::Io {
            address: ListenAddress::Unix(path.to_owned()),
            doing,
            source,
        }
    };
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => {
            // The umask can have taken the owner's own bits.
            fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
                .map_err(failed("set the directory's mode"))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_default =
                ListenAddress::default_unix() == Some(ListenAddress::Unix(path.to_owned()));
            // Any other directory was chosen by whoever wrote the configuration, with the mode they wanted.
            if !is_default {
                return Ok(());
            }
            let metadata =
                fs::symlink_metadata(directory).map_err(failed("look at the directory"))?;
            if metadata.uid() != uid {
                return Err(ListenError::ForeignDirectory {
                    path: directory.to_owned(),
                    uid: metadata.uid(),
                });
            }
            if metadata.permissions().mode() & 0o777 != DIRECTORY_MODE {
                fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
                    .map_err(failed("set the directory's mode"))?;
            }
            Ok(())
        }
        Err(error) => Err(failed("make the directory")(error)),
    }
}

/// Locks the directory until `lock` is closed. Corresponds to flock(2).
async fn acquire(lock: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            // Not every file system can; the lock only closes a narrow gap.
            Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Removes a socket file whose daemon is gone, which is told by connecting to it.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |doing| {
        move |source| ListenError::Io {
            address: ListenAddress::Unix(path.to_owned()),
            doing,
            source,
        }
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at the path")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match knock(path) {
        Ok(()) => Err(ListenError::AlreadyRunning {
            path: path.to_owned(),
        }),
        // Somebody listens whose backlog is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(ListenError::AlreadyRunning {
                path: path.to_owned(),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the old socket"))
        }
        Err(error) => Err(failed("find out whether the socket there is in use")(error)),
    }
}

fn knock(path: &Path) -> io::Result<()> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?.connect(&SockAddr::unix(path)?)
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    // bind(2) gives the file the mode that the socket itself has, less the umask: fchmod(2) before it means that there is no
    // moment with a wider mode, and leaves the umask, which belongs to all threads, alone.
    let file = File::from(OwnedFd::from(socket));
    file.set_permissions(Permissions::from_mode(SOCKET_MODE))?;
    let socket = Socket::from(OwnedFd::from(file));
    socket.bind(&SockAddr::unix(path)?)?;
    let backlog = i32::try_from(BACKLOG).unwrap_or(i32::MAX);
    let listened = socket
        .listen(backlog)
        .and_then(|()| UnixListener::from_std(socket.into()));
    if listened.is_err() {
        let _ = fs::remove_file(path);
    }
    listened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_user_and_root_may_speak() {
        assert!(may_speak(1000, 1000));
        assert!(may_speak(0, 1000));
        assert!(may_speak(0, 0));
        assert!(!may_speak(1001, 1000));
        assert!(!may_speak(1000, 0));
    }
}
