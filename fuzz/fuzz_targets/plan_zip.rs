//! Zips, listed as a stream and extracted from a file: no panic, no hang.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::list(bytes);
    let _ = arena::look_at(bytes);
});
