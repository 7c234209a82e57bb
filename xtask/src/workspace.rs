//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// Root of the checkout this was built from.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This package is a folder of the workspace, so it has a parent.
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Data of the services that `up` provides.
pub(crate) fn up_folder() -> PathBuf {
    root().join(".ratchet").join("up")
}

/// Data of the demo, kept so that the next demo is a repetition.
pub(crate) fn demo_folder() -> PathBuf {
    root().join(".ratchet").join("demo")
}
