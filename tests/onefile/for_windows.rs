//! Executables for Windows, made and read on any platform.

use std::fs;

use crate::common::build::{file, folder};
use crate::common::{Scratch, bundlecp};

const NEW_HEADERS: usize = 64;
const SUBSYSTEM: usize = NEW_HEADERS + 4 + 20 + 68;
/// The place of the signature in the data directories.
const SIGNATURE: usize = NEW_HEADERS + 4 + 20 + 112 + 4 * 8;

/// The headers of a program of 64 bits (Microsoft, PE Format).
fn program(subsystem: u8) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = NEW_HEADERS as u8;
    bytes[NEW_HEADERS..NEW_HEADERS + 4].copy_from_slice(b"PE\0\0");
    // x86-64, the size of the optional header, its kind, and 16 data directories.
    bytes[NEW_HEADERS + 4..NEW_HEADERS + 6].copy_from_slice(&[0x64, 0x86]);
    bytes[NEW_HEADERS + 20] = 240;
    bytes[NEW_HEADERS + 24..NEW_HEADERS + 26].copy_from_slice(&[0x0b, 0x02]);
    bytes[SUBSYSTEM] = subsystem;
    bytes[NEW_HEADERS + 24 + 108] = 16;
    bytes
}

/// A place with a stub and a bundle whose program has no console.
fn world() -> Scratch {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    file(scratch.path("app/app.exe"), program(2));
    file(scratch.path("app/data"), "data");
    file(scratch.path("stub.exe"), program(3));
    scratch
}

const BUILD: [&str; 8] = [
    "onefile", "app", "--stub", "stub.exe", "-f", "-q", "-o", "one.exe",
];

fn build(scratch: &Scratch) -> Vec<u8> {
    let ran = bundlecp(scratch.root(), &BUILD);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    fs::read(scratch.path("one.exe")).unwrap()
}

#[test]
fn the_stub_gets_a_console_only_if_its_program_has_one() {
    let scratch = world();
    assert_eq!(build(&scratch)[SUBSYSTEM], 2);
    file(scratch.path("app/app.exe"), program(3));
    assert_eq!(build(&scratch)[SUBSYSTEM], 3);
    // As a bundle that was packed on Windows: no file says that it may be run.
    file(scratch.path("app/app.exe"), "#!/bin/sh\n");
    let ran = bundlecp(scratch.root(), &BUILD);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("is no program that Windows runs"),
        "{}",
        ran.stderr
    );
}

/// Signs a program as tools do: a signature behind all, and its place in the headers.
fn sign(program: &mut Vec<u8>) {
    program.resize(program.len().next_multiple_of(8), 0);
    let signature = [16, 0, 0, 0, 0, 2, 2, 0, 9, 9, 9, 9, 9, 9, 9, 9];
    let place = [program.len() as u32, signature.len() as u32].map(u32::to_le_bytes);
    program[SIGNATURE..SIGNATURE + 8].copy_from_slice(&place.concat());
    program.extend_from_slice(&signature);
}

#[test]
fn a_signed_executable_is_read_as_before() {
    let scratch = world();
    // Every length that has to be filled up.
    for length in 0..8 {
        file(scratch.path("app/data"), "d".repeat(length));
        let mut built = build(&scratch);
        sign(&mut built);
        file(scratch.path("signed.exe"), &built);
        for command in ["list", "verify"] {
            let ran = bundlecp(scratch.root(), &[command, "signed.exe"]);
            assert_eq!(ran.status, 0, "{}", ran.stderr);
        }
        let ran = bundlecp(scratch.root(), &["verify", "app", "signed.exe"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
}

#[test]
fn what_stands_behind_besides_is_no_signature() {
    let scratch = world();
    let mut signed = build(&scratch);
    sign(&mut signed);
    let more = [&signed[..], &[0]].concat();
    let cut = signed[..signed.len() - 1].to_vec();
    // The headers name another place, or what fills up isn't zeros.
    let mut elsewhere = signed.clone();
    elsewhere[SIGNATURE] ^= 8;
    let mut filled = build(&scratch);
    filled.extend_from_slice(&[1; 8]);
    sign(&mut filled);
    for bytes in [more, cut, elsewhere, filled] {
        file(scratch.path("wrong.exe"), bytes);
        let ran = bundlecp(scratch.root(), &["list", "wrong.exe"]);
        assert_eq!(ran.status, 4, "{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_stub_that_is_signed_already_is_refused() {
    let scratch = world();
    let mut stub = program(3);
    sign(&mut stub);
    file(scratch.path("stub.exe"), stub);
    let ran = bundlecp(scratch.root(), &BUILD);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("is signed"), "{}", ran.stderr);
}
