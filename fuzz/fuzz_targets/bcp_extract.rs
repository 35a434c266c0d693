//! `.bcp`s of trees, with lies in their tables: nothing outside changes, a refusal
//! leaves nothing, and a file comes to the same as a pipe.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::bcp::extract(&arena::bcp::of_script(bytes).archive);
});
