//! The program that an executable begins with, of any platform.

use std::path::Path;

use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::pe::{self, Headers};
use crate::format::{ReadAt, bcp};
use crate::sys;

/// The `.bcp` begins at a multiple of this, so that stored blocks can be shared with what
/// is unpacked; bytes.
const ALIGNMENT: usize = 4096;

/// The most bytes of a stub.
const LARGEST: u64 = 256 << 20;

/// What programs begin with: ELF, Mach-O (thin and universal), PE.
const PROGRAMS: [&[u8]; 4] = [
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    pe::MAGIC,
];

/// A stub, filled up to a multiple of [`ALIGNMENT`].
pub(super) struct Stub {
    pub bytes: Vec<u8>,
    /// What its headers say, if it is for Windows.
    headers: Option<Headers>,
}

impl Stub {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("read", path, error);
        let hint = "--stub names the program that bundlecp-stub is built as";
        let opened = sys::open_path(path);
        let file = opened.map_err(|error| Error::io("open", path, error).with_hint(hint))?;
        let stat = sys::stat_file(&file).map_err(failed)?;
        let fail = |cause: &str| {
            let error = Error::new(ErrorKind::Usage, "use as the stub", path, cause);
            Err(error.with_hint(hint))
        };
        if stat.file_type != sys::FileType::File || stat.size > LARGEST {
            return fail("is no stub");
        }
        let refused = |refusal: Refusal| refusal.at("read", path);
        if bcp::has_trailer(&file, stat.size).map_err(refused)? {
            return fail("holds a bundle already");
        }
        let mut bytes = vec![0; stat.size as usize];
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        if !PROGRAMS.iter().any(|magic| bytes.starts_with(magic)) {
            return fail("is no program");
        }
        let headers = pe::headers(&file).map_err(refused)?;
        if headers.is_none() && bytes.starts_with(pe::MAGIC) {
            return fail("is no program that Windows runs");
        }
        if headers
            .as_ref()
            .is_some_and(|headers| !headers.signature.is_empty())
        {
            return fail("is signed: what is built of it has to be signed instead");
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        Ok(Self { bytes, headers })
    }

    pub(super) fn is_for_windows(&self) -> bool {
        self.headers.is_some()
    }

    /// Lets Windows start it as it would start `program`: with a console, or without one.
    pub(super) fn start_like(&mut self, program: &Path) -> Result<()> {
        let Some(own) = &self.headers else {
            return Ok(());
        };
        let failed = |error| Error::io("read", program, error);
        let file = sys::open_path(program).map_err(failed)?;
        let headers = pe::headers(&file).map_err(|refusal| refusal.at("read", program))?;
        let Some(headers) = headers else {
            let cause = "is no program that Windows runs, as the stub is";
            let error = Error::new(ErrorKind::Usage, "start with", program, cause);
            return Err(error.with_hint("--stub names a stub of the program's platform"));
        };
        let subsystem = self.bytes.get_mut(own.subsystem_at..own.subsystem_at + 2);
        if let Some(subsystem) = subsystem {
            subsystem.copy_from_slice(&headers.subsystem.to_le_bytes());
        }
        Ok(())
    }
}
