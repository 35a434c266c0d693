//! The one error type of the crate.
//!
//! An [`Error`] says which operation failed, on which path, why, and where it
//! can, what to do about it. Its text names the operation and the path once;
//! the cause is in [`source`](std::error::Error::source), so that a chain
//! printed with `: ` between its links reads as one line.
//!
//! Programs say an error as [`Error::report`] does, and end with
//! [`ErrorKind::exit_status`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::text::escape_path;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The destination can't hold symbolic links and the source has some.
    NoSymlinks,
    /// The destination has too little space or too few inodes.
    NoSpace,
    /// Two names of the source are one name on the destination.
    NameCollision,
    /// The destination can't hold a name: too long, or characters it refuses.
    BadName,
    /// A file is larger than the destination's largest.
    FileTooLarge,
    /// The destination, an archive's format or this version can't do what is asked.
    Unsupported,
    /// The operation makes no sense as asked, such as a copy into itself.
    Usage,
    /// The target stands already and nothing says to replace it.
    AlreadyExists,
    /// A file or folder that has to be there is missing.
    NotFound,
    /// The operating system refused access.
    PermissionDenied,
    /// The source holds a device, FIFO or socket.
    SpecialFile,
    /// A source file changed while it was read.
    SourceChanged,
    /// Somebody changed the staging folder while it was written.
    Tampered,
    /// A link can't be replaced by what it points to.
    CannotFlatten,
    /// An archive's bytes break the rules of its format.
    Malformed,
    /// An archive ends before it is complete.
    Truncated,
    /// A member of an archive would leave the destination, write through a
    /// link, or be something that a bundle can't hold.
    Unsafe,
    /// An archive is larger than the limits that were set.
    LimitExceeded,
    /// An archive is encrypted.
    Encrypted,
    /// The input is no archive that is known here, or uses a method that isn't.
    UnknownFormat,
    /// The caller asked to stop.
    Interrupted,
    /// Any other failure of the operating system.
    Io,
}

impl ErrorKind {
    /// Returns the exit status of a program that this ended: 2 wrong usage; 3 the
    /// destination can't hold it, and nothing was written; 4 the input is malformed, unsafe
    /// or truncated; 5 all else.
    pub fn exit_status(self) -> u8 {
        match self {
            ErrorKind::Usage => 2,
            ErrorKind::NoSymlinks
            | ErrorKind::NoSpace
            | ErrorKind::NameCollision
            | ErrorKind::BadName
            | ErrorKind::FileTooLarge
            | ErrorKind::CannotFlatten
            | ErrorKind::Unsupported => 3,
            ErrorKind::SpecialFile
            | ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::Unsafe
            | ErrorKind::LimitExceeded
            | ErrorKind::Encrypted
            | ErrorKind::UnknownFormat => 4,
            ErrorKind::AlreadyExists
            | ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::SourceChanged
            | ErrorKind::Tampered
            | ErrorKind::Interrupted
            | ErrorKind::Io => 5,
        }
    }
}

/// The failure of one operation on one path.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    operation: &'static str,
    path: PathBuf,
    kind: ErrorKind,
    source: Source,
    hint: Option<String>,
}

#[derive(Debug)]
enum Source {
    Io(io::Error),
    Said(Cause),
}

impl Error {
    /// Wraps the operating system's answer to `operation` on `path`.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let kind = kind_of(&source);
        Self::build(operation, path.into(), kind, Source::Io(source))
    }

    /// Reports what the crate itself found wrong, in a phrase without a period.
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        path: impl Into<PathBuf>,
        cause: impl Into<String>,
    ) -> Self {
        Self::build(
            operation,
            path.into(),
            kind,
            Source::Said(Cause(cause.into())),
        )
    }

    /// Adds what the user can do about it, in a phrase without a period.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Replaces the kind, where the operation knows better than the error number.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    fn build(operation: &'static str, path: PathBuf, kind: ErrorKind, source: Source) -> Self {
        let inner = Inner {
            operation,
            path,
            kind,
            source,
            hint: None,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the operation that failed: a verb such as `open`.
    pub fn operation(&self) -> &str {
        self.inner.operation
    }

    /// Returns the path that the operation was working on.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the cause in words, without the system's number for it.
    pub fn cause(&self) -> String {
        let text = match &self.inner.source {
            Source::Io(error) => error.to_string(),
            Source::Said(cause) => cause.0.clone(),
        };
        match text.find(" (os error") {
            Some(at) => text[..at].to_owned(),
            None => text,
        }
    }

    /// Returns what the user can do about it, where something can be done.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Returns the error as a program says it: operation, path and cause in one line, and
    /// what can be done about it in another.
    pub fn report(&self) -> String {
        let cause = self.cause();
        let mut text = match self.path().as_os_str().is_empty() {
            true => format!("bundlecp: {cause}"),
            false => format!("bundlecp: {self}: {cause}"),
        };
        if let Some(hint) = self.hint() {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }

    /// Returns the operating system's error, where it was one.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.inner.source {
            Source::Io(error) => Some(error),
            Source::Said(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = escape_path(&self.inner.path);
        write!(out, "{} `{path}`", self.inner.operation)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source: &dyn fmt::Debug = match &self.inner.source {
            Source::Io(error) => error,
            Source::Said(cause) => &cause.0,
        };
        out.debug_struct("Error")
            .field("operation", &self.inner.operation)
            .field("path", &self.inner.path)
            .field("kind", &self.inner.kind)
            .field("source", source)
            .field("hint", &self.inner.hint)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.inner.source {
            Source::Io(error) => Some(error),
            Source::Said(cause) => Some(cause),
        }
    }
}

/// Why bytes can't be read or written as an archive, before it is known which
/// file they are of: parsers, codecs and plans know no paths.
#[derive(Debug)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    source: Source,
    hint: Option<&'static str>,
}

impl Refusal {
    /// A refusal in the crate's own words: a phrase without a period.
    pub(crate) fn new(kind: ErrorKind, cause: impl Into<String>) -> Self {
        Self {
            kind,
            source: Source::Said(Cause(cause.into())),
            hint: None,
        }
    }

    /// Bytes that break the rules of their format.
    pub(crate) fn malformed(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, cause)
    }

    /// Input that ends too early.
    pub(crate) fn truncated(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Truncated, cause)
    }

    /// The failure of reading or writing the bytes themselves.
    pub(crate) fn io(source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
            io::ErrorKind::InvalidData => ErrorKind::Malformed,
            // A decoder's own limit; the system's answer would have its number.
            io::ErrorKind::OutOfMemory if source.raw_os_error().is_none() => {
                ErrorKind::LimitExceeded
            }
            _ => kind_of(&source),
        };
        Self {
            kind,
            source: Source::Io(source),
            hint: None,
        }
    }

    /// Adds what the user can do about it, in a phrase without a period.
    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What went wrong.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Says what the cause is about, in front of it.
    pub(crate) fn about(mut self, subject: impl fmt::Display) -> Self {
        if let Source::Said(cause) = &mut self.source {
            cause.0 = format!("{subject} {}", cause.0);
        }
        self
    }

    /// As an error of reading, where the caller reads the bytes itself.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match self.kind {
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        match self.source {
            Source::Io(error) => error,
            Source::Said(cause) => io::Error::new(kind, cause),
        }
    }

    /// Names the operation and the path that it was about.
    pub(crate) fn at(self, operation: &'static str, path: impl Into<PathBuf>) -> Error {
        let mut error = Error::build(operation, path.into(), self.kind, self.source);
        error.inner.hint = self.hint.map(str::to_owned);
        error
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Io(error) => error.fmt(out),
            Source::Said(cause) => cause.fmt(out),
        }
    }
}

/// A cause in the crate's own words.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        io::ErrorKind::FileTooLarge => ErrorKind::FileTooLarge,
        io::ErrorKind::InvalidFilename => ErrorKind::BadName,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn text_names_operation_and_path_once_and_leaves_the_cause_to_the_source() {
        let error = Error::io("open", "a/b", io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error.to_string(), "open `a/b`");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.source().unwrap().to_string(), "entity not found");
    }

    #[test]
    fn control_characters_in_a_path_are_escaped() {
        let error = Error::new(ErrorKind::Io, "read", "a\n\x1b[31mb", "x");
        assert_eq!(error.to_string(), r"read `a\n\u{1b}[31mb`");
    }
}
