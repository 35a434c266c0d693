//! Any archive, extracted from a file and a pipe: nothing outside changes, and
//! a refusal leaves nothing.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::extract(&arena::with_checksums(bytes));
});
