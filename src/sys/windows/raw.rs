//! The calls that `std` doesn't have: names relative to an open folder, and what a
//! volume says of itself. With `raw_process`, all of Windows' `unsafe`.
//!
//! `NtCreateFile` takes a folder's handle and a name, as `openat` does: the name is
//! looked up in that folder, whatever its path has become. It is documented for
//! programs, and what `std` itself removes trees with.
#![allow(unsafe_code)]

use std::ffi::{OsString, c_void};
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FileDispositionInformation, FileDispositionInformationEx, FileFullDirectoryInformation,
    FileLinkInformation, FileRenameInformation, FileRenameInformationEx, NtCreateFile,
    NtQueryDirectoryFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    NTSTATUS, RtlNtStatusToDosError, STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_PARAMETER, STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, STATUS_NOT_IMPLEMENTED,
    STATUS_NOT_SUPPORTED, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_TAG_INFO, FILE_RENAME_INFO, FILE_STANDARD_INFO,
    FileAttributeTagInfo, FileStandardInfo, GetDiskFreeSpaceExW, GetFileInformationByHandle,
    GetFileInformationByHandleEx, GetFinalPathNameByHandleW, GetVolumeInformationByHandleW,
};
use windows_sys::Win32::System::IO::{DeviceIoControl, IO_STATUS_BLOCK};
use windows_sys::Win32::System::Ioctl::{
    FILE_ALLOCATED_RANGE_BUFFER, FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_SPARSE,
};

/// How something is opened, in the terms of `NtCreateFile`.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub access: u32,
    pub share: u32,
    pub attributes: u32,
    pub disposition: u32,
    pub options: u32,
}

/// Opens or makes `name`, one component, in the folder `dir`. An empty name is the
/// folder itself.
pub(super) fn open_at(dir: &File, name: &str, how: Opening) -> io::Result<File> {
    let mut name: Vec<u16> = name.encode_utf16().collect();
    let bytes = u16::try_from(name.len() * 2)
        .map_err(|_| super::code(super::convert::ERROR_FILENAME_EXCED_RANGE))?;
    let text = UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_mut_ptr(),
    };
    /// As all names of Windows, but in folders that are set to tell case apart.
    const OBJ_CASE_INSENSITIVE: u32 = 0x40;
    let object = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: dir.as_raw_handle(),
        ObjectName: &raw const text,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut handle = ptr::null_mut();
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: every pointer is to something that lives until the call has returned.
    let status = unsafe {
        NtCreateFile(
            &raw mut handle,
            how.access,
            &raw const object,
            &raw mut status_block,
            ptr::null(),
            how.attributes,
            how.share,
            how.disposition,
            how.options,
            ptr::null(),
            0,
        )
    };
    check(status)?;
    // SAFETY: the call made this handle, which nobody else has.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Whether what stands at a new name gives way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Keep,
    Replace,
}

/// Moves what is open as `file` to `name` in the folder `to`, in one step.
///
/// With POSIX semantics where the file system has them: what is replaced may be
/// open, or read-only.
pub(super) fn rename_at(file: &File, to: &File, name: &str, standing: Standing) -> io::Result<()> {
    const REPLACE_IF_EXISTS: u32 = 0x1;
    const POSIX_SEMANTICS: u32 = 0x2;
    const IGNORE_READONLY: u32 = 0x40;
    let replace = match standing {
        Standing::Keep => 0,
        Standing::Replace => REPLACE_IF_EXISTS,
    };
    let flags = replace | POSIX_SEMANTICS | IGNORE_READONLY;
    match set_name(file, to, name, flags, FileRenameInformationEx) {
        status if is_unknown(status) => {
            check(set_name(file, to, name, replace, FileRenameInformation))
        }
        status => check(status),
    }
}

/// Gives what is open as `file` the further name `name` in the folder `to`.
pub(super) fn link_at(file: &File, to: &File, name: &str) -> io::Result<()> {
    check(set_name(file, to, name, 0, FileLinkInformation))
}

/// Sets one of the pieces of information that consist of a name: the structures of
/// renaming and linking have the same fields.
fn set_name(file: &File, to: &File, name: &str, flags: u32, class: i32) -> NTSTATUS {
    const NAME: usize = offset_of!(FILE_RENAME_INFO, FileName);
    let name: Vec<u16> = name.encode_utf16().collect();
    let len = (NAME + name.len() * 2).max(size_of::<FILE_RENAME_INFO>());
    // In units of eight bytes, as the structure has a handle.
    let mut buffer = vec![0_u64; len.div_ceil(8)];
    let info = buffer.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer is aligned, and long enough for the structure and the name.
    unsafe {
        (*info).Anonymous.Flags = flags;
        (*info).RootDirectory = to.as_raw_handle();
        (*info).FileNameLength = (name.len() * 2) as u32;
        let place = info.cast::<u8>().add(NAME).cast::<u16>();
        ptr::copy_nonoverlapping(name.as_ptr(), place, name.len());
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut status_block,
            info.cast::<c_void>(),
            len as u32,
            class,
        )
    }
}

/// Removes what is open as `file`, of which the name goes at once where the file
/// system can, and else when nobody has it open.
pub(super) fn remove(file: &File) -> io::Result<()> {
    const DELETE: u32 = 0x1;
    const POSIX_SEMANTICS: u32 = 0x2;
    const IGNORE_READONLY: u32 = 0x10;
    let flags = DELETE | POSIX_SEMANTICS | IGNORE_READONLY;
    match set_value(file, &flags, FileDispositionInformationEx) {
        status if is_unknown(status) => check(set_value(file, &true, FileDispositionInformation)),
        status => check(status),
    }
}

fn set_value<T>(file: &File, value: &T, class: i32) -> NTSTATUS {
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: the value lives until the call has returned.
    unsafe {
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut status_block,
            ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as u32,
            class,
        )
    }
}

/// Fills `buffer` with the next entries of the folder `dir`, as
/// `FILE_FULL_DIR_INFORMATION`. Returns how many bytes; 0 if there are no more.
pub(super) fn next_entries(dir: &File, buffer: &mut [u64]) -> io::Result<usize> {
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer lives until the call has returned, and has this length.
    let status = unsafe {
        NtQueryDirectoryFile(
            dir.as_raw_handle(),
            ptr::null_mut(),
            None,
            ptr::null(),
            &raw mut status_block,
            buffer.as_mut_ptr().cast::<c_void>(),
            size_of_val(buffer) as u32,
            FileFullDirectoryInformation,
            false,
            ptr::null(),
            false,
        )
    };
    match status {
        STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE => Ok(0),
        status => check(status).map(|()| status_block.Information),
    }
}

/// What the file system says of an open file, folder or link.
pub(super) fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the structure lives until the call has returned.
    win32(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) })?;
    Ok(found)
}

/// What kind of reparse point an open file is.
pub(super) fn reparse_tag(file: &File) -> io::Result<u32> {
    let mut found = FILE_ATTRIBUTE_TAG_INFO::default();
    query(file, FileAttributeTagInfo, &mut found)?;
    Ok(found.ReparseTag)
}

/// The bytes of storage that an open file takes.
pub(super) fn allocated(file: &File) -> io::Result<u64> {
    let mut found = FILE_STANDARD_INFO::default();
    query(file, FileStandardInfo, &mut found)?;
    Ok(u64::try_from(found.AllocationSize).unwrap_or_default())
}

fn query<T>(file: &File, class: i32, found: &mut T) -> io::Result<()> {
    // SAFETY: the structure belongs to the class, and lives until the call has returned.
    win32(unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            class,
            ptr::from_mut(found).cast::<c_void>(),
            size_of::<T>() as u32,
        )
    })
}

/// Allows `file` to have holes.
pub(super) fn set_sparse(file: &File) -> io::Result<()> {
    let mut returned = 0;
    // SAFETY: there is nothing to read or write but the number of bytes written.
    win32(unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_SET_SPARSE,
            ptr::null(),
            0,
            ptr::null_mut(),
            0,
            &raw mut returned,
            ptr::null_mut(),
        )
    })
}

/// The first range with storage of `file` from `offset` on, and its length; `None`
/// where only a hole is left up to `end`.
pub(super) fn next_range(file: &File, offset: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    const MORE_DATA: i32 = 234;
    let asked = FILE_ALLOCATED_RANGE_BUFFER {
        FileOffset: offset.cast_signed(),
        Length: end.saturating_sub(offset).cast_signed(),
    };
    let mut found = FILE_ALLOCATED_RANGE_BUFFER::default();
    let mut returned = 0;
    // SAFETY: both structures live until the call has returned.
    let result = win32(unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            FSCTL_QUERY_ALLOCATED_RANGES,
            (&raw const asked).cast::<c_void>(),
            size_of_val(&asked) as u32,
            (&raw mut found).cast::<c_void>(),
            size_of_val(&found) as u32,
            &raw mut returned,
            ptr::null_mut(),
        )
    });
    match result {
        // There is one more, which the next call finds.
        Err(error) if error.raw_os_error() == Some(MORE_DATA) => {}
        result => result?,
    }
    if returned == 0 {
        return Ok(None);
    }
    Ok(Some((
        found.FileOffset.cast_unsigned(),
        found.Length.cast_unsigned(),
    )))
}

/// What a volume says of itself.
pub(super) struct Volume {
    /// `NTFS`, `ReFS`, `exFAT`, `FAT32`.
    pub name: String,
    /// The longest name in UTF-16 units.
    pub name_max: u32,
}

/// Describes the volume that an open folder is on.
pub(super) fn volume(dir: &File) -> io::Result<Volume> {
    let mut name = [0_u16; 64];
    let mut name_max = 0;
    // SAFETY: the buffer has this length, and what isn't asked for is null.
    win32(unsafe {
        GetVolumeInformationByHandleW(
            dir.as_raw_handle(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            &raw mut name_max,
            ptr::null_mut(),
            name.as_mut_ptr(),
            name.len() as u32,
        )
    })?;
    let len = name
        .iter()
        .position(|unit| *unit == 0)
        .unwrap_or(name.len());
    Ok(Volume {
        name: String::from_utf16_lossy(&name[..len]),
        name_max,
    })
}

/// The path that an open folder has now, without links: `\\?\C:\Users\a`.
pub(super) fn final_path(dir: &File) -> io::Result<PathBuf> {
    let mut path = vec![0_u16; 512];
    loop {
        // SAFETY: the buffer has this length; flags of 0 ask for a path with a drive.
        let len = unsafe {
            let len = path.len() as u32;
            GetFinalPathNameByHandleW(dir.as_raw_handle(), path.as_mut_ptr(), len, 0)
        };
        match len as usize {
            0 => return Err(io::Error::last_os_error()),
            // Too small: this is what is needed.
            needed if needed > path.len() => path.resize(needed, 0),
            len => return Ok(PathBuf::from(OsString::from_wide(&path[..len]))),
        }
    }
}

/// Bytes that this user can still write on the volume of the folder `path`, and its size.
pub(super) fn free_space(path: &Path) -> io::Result<(u64, u64)> {
    let mut path: Vec<u16> = path.as_os_str().encode_wide().collect();
    // The call wants a folder's name to end in one.
    path.extend([u16::from(b'\\'), 0]);
    let (mut free, mut total) = (0, 0);
    // SAFETY: the path ends in a NUL, and both numbers live until the call has returned.
    win32(unsafe {
        GetDiskFreeSpaceExW(
            path.as_ptr(),
            &raw mut free,
            &raw mut total,
            ptr::null_mut(),
        )
    })?;
    Ok((free, total))
}

/// Whether a status says that the system or the file system lacks a call's newer form.
fn is_unknown(status: NTSTATUS) -> bool {
    matches!(
        status,
        STATUS_INVALID_INFO_CLASS
            | STATUS_INVALID_PARAMETER
            | STATUS_NOT_SUPPORTED
            | STATUS_NOT_IMPLEMENTED
            | STATUS_INVALID_DEVICE_REQUEST
    )
}

pub(super) fn check(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: takes a number and returns one.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

pub(super) fn win32(succeeded: i32) -> io::Result<()> {
    match succeeded {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
