//! A folder that holds the data of one stack of services, and the right to use it.
//!
//! **Invariant: one owner.** Two servers on the same files would destroy them, so the folder is held by a file lock
//! that the system releases when the owner ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const LOCK_FILE: &str = ".lock";

/// A data folder claimed by this process; released when dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Whether a data folder is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A living process holds it.
    Somebody,
    /// Nobody does.
    Nobody,
}

impl DataFolder {
    /// Claims `path`, making it if it is not there.
    ///
    /// # Errors
    /// Another process holds it, or it cannot be made.
    pub fn claim(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("making the data folder {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("finding the data folder {}", path.display()))?;
        let lock =
            File::create(path.join(LOCK_FILE)).with_context(|| format!("opening the lock of {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("the data folder {} is in use by another process", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Whether a process holds `path` now.
    pub fn owner_of(path: &Path) -> Owner {
        match File::open(path.join(LOCK_FILE)).map(|lock| lock.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => Owner::Somebody,
            _ => Owner::Nobody,
        }
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one service in it, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn service(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("making the data folder {}", folder.display()))?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("stack");
        assert_eq!(DataFolder::owner_of(&path), Owner::Nobody);

        let first = DataFolder::claim(&path).unwrap();
        assert_eq!(DataFolder::owner_of(&path), Owner::Somebody);
        let refused = DataFolder::claim(&path).unwrap_err().to_string();
        assert!(refused.contains("in use"), "{refused}");

        drop(first);
        assert_eq!(DataFolder::owner_of(&path), Owner::Nobody);
        DataFolder::claim(&path).unwrap();
    }
}
