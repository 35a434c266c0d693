//! Trees of links: what is extracted without an error holds no link that leads
//! out of it, as the system itself resolves them.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let tar = arena::tar_of(bytes);
    arena::extract_and_resolve(&tar);
});
