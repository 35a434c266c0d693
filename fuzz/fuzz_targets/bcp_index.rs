//! `.bcp`s of any tables and blocks, opened as a file and listed as a pipe: no panic,
//! no memory by declared sizes, and both say the same.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::bcp::open(&arena::bcp::of_parts(bytes));
});
