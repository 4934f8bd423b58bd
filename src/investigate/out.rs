//! The folder that evidence is written into.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::verify::keys::KeysError;

/// Why evidence cannot be collected at all.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("cannot write the evidence into {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// A folder that evidence is written into.
pub(super) struct Out<'f> {
    folder: &'f Path,
}

impl<'f> Out<'f> {
    pub(super) fn new(folder: &'f Path) -> Self {
        Self { folder }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(|source| EvidenceError::Write { path, source })
    }
}
