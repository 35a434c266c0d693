//! The `.bcp` at the end of an open file, into a staging folder that the caller
//! publishes: what a self-extracting executable does with itself.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::dest::Staging;
use crate::dest::writer::Site;
use crate::error::{Error, Result};
use crate::format::bcp::Index;
use crate::probe::Capabilities;
use crate::progress::Progress;
use crate::sys;

use super::donors::Donors;
use super::finish::Links;
use super::intake::Intake;
use super::stage::Extraction;
use super::target::Target;
use super::{Options, Outcome, bcp};

/// Where something is unpacked to.
pub(crate) struct Destination<'d> {
    pub staging: &'d Staging,
    pub found: &'d Capabilities,
    /// The path that the tree will have, for messages.
    pub path: &'d Path,
    /// The folder that it will stand in.
    pub parent: &'d Path,
    /// Permission bits that nothing in it gets.
    pub umask: u32,
    /// Files of another version, to share contents with.
    pub donors: &'d Donors,
}

/// Unpacks the archive that `file`, shown as `shown`, ends with: `index` is its own.
///
/// All of it is compared with its hashes, but for what shares storage with `file`.
pub(crate) fn unpack(
    (file, shown, index): (&File, &Path, &Index),
    destination: &Destination<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let failed = |error| Error::io("read", shown, error);
    let length = sys::stat_file(file).map_err(failed)?.size;
    let (staging, name) = (destination.staging, destination.path.file_name());
    let target = Target {
        path: destination.path.to_owned(),
        parent: sys::reopen_dir(staging.parent()).map_err(failed)?,
        parent_path: destination.parent.to_owned(),
        name: name.map_or(&b"."[..], sys::os_to_bytes).to_vec(),
    };
    let job = Extraction {
        target: &target,
        staging,
        found: destination.found,
        options,
        umask: destination.umask,
        donors: Some(destination.donors),
        progress,
    };
    let mut outcome = Outcome {
        format: "bcp",
        ..Outcome::default()
    };
    let read = |intake: &mut Intake<'_>, site: &Site<'_>| {
        // The plan refuses what is unsafe; two names that are one here show when the
        // second is made. Links that lead out are the bundle's own affair.
        let check = |_: &Intake<'_>| Ok(());
        let (archive, threads) = ((file, length, index), options.threads());
        bcp::extract_index(archive, intake, site, &check, threads, progress)?;
        Ok(Links::Make)
    };
    let received = Arc::new(AtomicU64::new(length));
    job.run((shown, &received), read, &mut outcome)?;
    Ok(outcome)
}
