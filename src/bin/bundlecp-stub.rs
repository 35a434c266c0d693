//! What self-extracting executables begin with. Rust's own `main` would change signals.
#![no_main]
#![allow(unsafe_code, reason = "the name that the linker looks for")]
#[path = "../stub.rs"]
mod stub;

#[unsafe(no_mangle)]
extern "C" fn main(count: i32, arguments: *const *const std::ffi::c_char) -> i32 {
    stub::run(unsafe { bundlecp::onefile::arguments(count, arguments) })
}
