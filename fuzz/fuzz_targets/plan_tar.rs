//! Tars, looked at as a stream: no panic, no hang, no memory by declared sizes.
#![no_main]

mod arena;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let tar = arena::with_checksums(bytes);
    arena::list(&tar);
    let _ = arena::look_at(&tar);
});
