//! What a finding is: a stable code, how bad it is, and words for people.

use serde::Serialize;

use crate::path::{LinkTarget, RelPath};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// The bundle is broken, or larger than it was made.
    Error,
    /// It breaks somewhere: on another system, or when it is signed.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

    /// Returns `error`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal, $severity:ident, $title:literal;)+) => {
        /// What kind of damage a finding is. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// Every code, in the order of this list.
            pub const ALL: &[Code] = &[$(Code::$code,)+];

            /// Returns the code as JSON documents and messages write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)+
                }
            }

            /// Returns how bad such findings are.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$code => Severity::$severity,)+
                }
            }

            /// Returns a heading over all findings of this code.
            pub fn title(self) -> &'static str {
                match self {
                    $(Code::$code => $title,)+
                }
            }
        }
    };
}

codes! {
    /// A file or folder stands where a link should, equal to what that would lead to.
    FlattenedLink = "flattened-link", Error, "links that became copies";
    /// A text file stands where a link should, and holds its target.
    StubLink = "stub-link", Error, "links that became text files";
    /// Nothing stands where a link should.
    MissingLink = "missing-link", Error, "links that are gone";
    /// A copy stands where a link should, and several files are equal to it.
    AmbiguousLink = "ambiguous-link", Warning, "links that became copies, of one of several files";
    /// An archive holds copies or text files in place of its links.
    ArchiveWithoutLinks = "archive-without-links", Error, "archives made without links";
    /// A link leads to nothing.
    DanglingLink = "dangling-link", Error, "links to nothing";
    /// A link names its target from the root of the file system.
    AbsoluteLink = "absolute-link", Error, "links with absolute paths";
    /// A link leads out of the bundle.
    EscapingLink = "escaping-link", Error, "links that lead out of the bundle";
    /// A link leads to itself, or in a circle.
    LoopingLink = "looping-link", Error, "links that lead in a circle";
    /// Names of one folder are one name to Windows and macOS.
    CaseCollision = "case-collision", Warning, "names that differ in case only";
    /// Names of one folder differ only in how letters are composed.
    NormalizationCollision = "normalization-collision", Warning, "names that look the same";
    /// Windows can't hold the name.
    WindowsName = "windows-name", Note, "names that Windows can't hold";
    /// Two libraries have one name to the loader.
    DuplicateLibrary = "duplicate-library", Warning, "libraries that are there twice";
    /// A library that a program needs is in the bundle, where the loader doesn't look.
    MissingLibrary = "missing-library", Error, "libraries that the loader doesn't find";
    /// A framework lacks its version, or the links at its top.
    FrameworkShape = "framework-shape", Error, "frameworks without their shape";
    /// Code signing refuses an `.app` for this.
    UnsignableApp = "unsignable-app", Warning, "what code signing refuses";
    /// A program may not be run any more.
    LostExec = "lost-exec", Error, "programs that lost their executable bit";
    /// Who runs it gets the rights of its owner or group.
    SetId = "set-id", Warning, "set-user-ID and set-group-ID bits";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One thing that is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of damage it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where, from the bundle's root.
    #[serde(flatten)]
    pub path: RelPath,
    /// What it means for who runs the bundle.
    pub message: String,
    /// What mends it.
    pub fix: String,
    /// What the link was, or would have to be.
    #[serde(flatten)]
    pub target: Option<LinkTarget>,
    /// Content in bytes that is there once more than it needs to be.
    pub bytes_wasted: u64,
}

impl Finding {
    /// A finding of the severity that its code has.
    pub(crate) fn new(code: Code, path: RelPath, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            path,
            message: message.into(),
            fix: String::new(),
            target: None,
            bytes_wasted: 0,
        }
    }

    /// Says what mends it.
    pub(crate) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}
