//! Programs with a PyInstaller package of any table and data, opened, listed and
//! extracted: no panic, no hang, nothing outside changes, and all say the same.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::carchive::open(&arena::carchive::of_parts(bytes));
});
