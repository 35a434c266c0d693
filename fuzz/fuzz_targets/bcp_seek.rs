//! Members of a `.bcp` read from one place and the next, as a file of their content
//! would be.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    arena::bcp::seek(bytes);
});
