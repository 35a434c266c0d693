//! The calls that `std` doesn't have about processes and their users: access lists, the
//! life of a child, the keys that interrupt, and a message without a console.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::Child;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SystemTimeOfDayInformation,
};
use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, HANDLE};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, GetLengthSid, GetTokenInformation,
    OWNER_SECURITY_INFORMATION, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    AllowSetForegroundWindow, MB_ICONERROR, MB_OK, MessageBoxW,
};

use super::raw::{check, win32};

/// The owner and the access list of what is open as `file`, as one self-relative security
/// descriptor.
pub(super) fn security(file: &File) -> io::Result<Vec<u8>> {
    filled(|buffer, len, needed| {
        // SAFETY: the buffer has this length, and lives until the call has returned.
        unsafe {
            GetKernelObjectSecurity(
                file.as_raw_handle(),
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                buffer.cast::<c_void>(),
                len,
                needed,
            )
        }
    })
    .map(|units| units.iter().flat_map(|unit| unit.to_ne_bytes()).collect())
}

/// The identifier of the user that this process runs as.
pub(super) fn user() -> io::Result<Vec<u8>> {
    let mut token = ptr::null_mut();
    // SAFETY: the first handle stands for this process and needs no closing; the place for
    // the second lives until the call has returned.
    win32(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the call made this handle, which nobody else has.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let found = filled(|buffer, len, needed| {
        let token: HANDLE = token.as_raw_handle();
        // SAFETY: the buffer has this length, and lives until the call has returned.
        unsafe { GetTokenInformation(token, TokenUser, buffer.cast::<c_void>(), len, needed) }
    })?;
    // SAFETY: the call filled the buffer, which is aligned, with this structure and, behind
    // it, with the identifier that it points to.
    unsafe {
        let user = found.as_ptr().cast::<TOKEN_USER>();
        let sid = (*user).User.Sid;
        let len = GetLengthSid(sid) as usize;
        Ok(std::slice::from_raw_parts(sid.cast::<u8>(), len).to_vec())
    }
}

/// What a call writes that says how many bytes it needs. In units of eight bytes, as
/// structures with pointers have to be.
fn filled(mut call: impl FnMut(*mut u64, u32, *mut u32) -> i32) -> io::Result<Vec<u64>> {
    let mut buffer = vec![0_u64; 64];
    loop {
        let len = size_of_val(buffer.as_slice()) as u32;
        let mut needed = 0;
        match win32(call(buffer.as_mut_ptr(), len, &raw mut needed)) {
            Err(error)
                if error.raw_os_error() == Some(ERROR_INSUFFICIENT_BUFFER.cast_signed())
                    && needed > len =>
            {
                buffer.resize((needed as usize).div_ceil(8), 0);
            }
            result => return result.map(|()| buffer),
        }
    }
}

/// When the system was started, in steps of 100 ns since 1601, whatever the clock was set to
/// since then.
pub(super) fn boot_time() -> io::Result<i64> {
    /// `SYSTEM_TIMEOFDAY_INFORMATION` (ntexapi.h): the start moves with the clock, by the bias.
    #[repr(C)]
    #[derive(Default)]
    struct TimeOfDay {
        boot_time: i64,
        current_time: i64,
        time_zone_bias: i64,
        time_zone_id: u32,
        reserved: u32,
        boot_time_bias: i64,
        sleep_time_bias: i64,
    }
    let mut found = TimeOfDay::default();
    // SAFETY: the structure belongs to the class, and lives until the call has returned.
    check(unsafe {
        NtQuerySystemInformation(
            SystemTimeOfDayInformation,
            (&raw mut found).cast::<c_void>(),
            size_of::<TimeOfDay>() as u32,
            ptr::null_mut(),
        )
    })?;
    Ok(found.boot_time.wrapping_sub(found.boot_time_bias))
}

/// Lets a child bring its windows to the front, as this process might.
pub(super) fn hand_on_the_foreground(child: &Child) {
    // SAFETY: takes a number.
    unsafe { AllowSetForegroundWindow(child.id()) };
}

/// What ends a child when this process ends, however that happens.
pub(super) struct Job(OwnedHandle);

impl Job {
    /// A job of which only what is put into it is a part: what a program starts may go on
    /// after its end, as it may without this.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a job without a name, for this process alone.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call made this handle, which nobody else has.
        let job = unsafe { OwnedHandle::from_raw_handle(job) };
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags =
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
        // SAFETY: the structure belongs to the class, and lives until the call has returned.
        win32(unsafe {
            SetInformationJobObject(
                job.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast::<c_void>(),
                size_of_val(&limits) as u32,
            )
        })?;
        Ok(Self(job))
    }

    pub(super) fn add(&self, child: &Child) -> io::Result<()> {
        // SAFETY: both handles are open.
        win32(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), child.as_raw_handle()) })
    }
}

static HAS_COME: AtomicBool = AtomicBool::new(false);

/// Whether somebody asked this process to stop since [`hold_interrupts`].
pub(super) fn has_come() -> bool {
    HAS_COME.load(Ordering::Relaxed)
}

/// Keeps what asks to stop (Ctrl-C, Ctrl-Break, the console closed, the user logged off)
/// from ending this process: it is noted. Children get it as well, from the system.
pub(super) fn hold_interrupts() {
    // SAFETY: the routine is there as long as the process.
    unsafe { SetConsoleCtrlHandler(Some(on_interrupt), 1) };
}

/// Lets what asks to stop end this process again.
pub(super) fn release_interrupts() {
    // SAFETY: as above.
    unsafe { SetConsoleCtrlHandler(Some(on_interrupt), 0) };
}

/// Runs in a thread of its own.
unsafe extern "system" fn on_interrupt(event: u32) -> i32 {
    HAS_COME.store(true, Ordering::Relaxed);
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // The process ends when this returns: what is under way has as long as the system
        // gives, a child its time to save.
        std::thread::sleep(Duration::from_secs(60));
    }
    1
}

/// Shows `text` in a window, and waits until somebody has read it.
pub(super) fn show(text: &str, title: &str) {
    let wide = |text: &str| -> Vec<u16> { text.encode_utf16().chain([0]).collect() };
    let (text, title) = (wide(text), wide(title));
    // SAFETY: both end in a NUL, and live until the call has returned.
    unsafe {
        MessageBoxW(
            ptr::null_mut(),
            text.as_ptr(),
            title.as_ptr(),
            MB_OK | MB_ICONERROR,
        );
    }
}
