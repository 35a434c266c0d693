use std::path::Path;

use super::{Options, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

pub(super) fn examine(path: &Path, _: &Options, _: &dyn Progress) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Usage, "doctor", path, "is an archive"))
}
