//! Options that several commands have, as the library takes them.

use bundlecp::copy::{OnNoSymlinks, Sync};
use bundlecp::{Existing, Ownership, SpecialFiles};

use crate::cli::args;

pub(super) fn existing(replace: bool, merge: bool) -> Existing {
    match (replace, merge) {
        (true, _) => Existing::Replace,
        (false, true) => Existing::Merge,
        (false, false) => Existing::Refuse,
    }
}

pub(super) fn on_no_symlinks(what: args::OnNoSymlinks) -> OnNoSymlinks {
    match what {
        args::OnNoSymlinks::Fail => OnNoSymlinks::Fail,
        args::OnNoSymlinks::Copy => OnNoSymlinks::Copy,
        args::OnNoSymlinks::Manifest => OnNoSymlinks::Manifest,
    }
}

pub(super) fn sync(what: args::Sync) -> Sync {
    match what {
        args::Sync::None => Sync::None,
        args::Sync::Data => Sync::Data,
        args::Sync::Full => Sync::Full,
    }
}

pub(super) fn special_files(skip: bool) -> SpecialFiles {
    match skip {
        true => SpecialFiles::Skip,
        false => SpecialFiles::default(),
    }
}

pub(super) fn ownership(preserve: bool) -> Ownership {
    match preserve {
        true => Ownership::Original,
        false => Ownership::default(),
    }
}
