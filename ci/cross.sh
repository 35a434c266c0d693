#!/usr/bin/env bash
# The other platforms, from Linux: the code compiles and passes clippy for Windows, macOS, ARM Linux and
# musl, and the tests of the library and of the command run on Windows' calls, by Wine.
#
# The standard library of each target is built from Debian's source of it: that needs nothing but Debian's
# and PyPI's packages. Wine 8 has no symbolic links: it says that it made one, and makes nothing. So what
# runs here proves that this is found out before anything is written; docs/platforms.md says what doesn't
# run here.
set -euo pipefail
cd "$(dirname "$0")/.."
script=cross
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source ci/checks.sh
# shellcheck source=ci/compilers.sh
source ci/compilers.sh

windows=x86_64-win7-windows-gnu
wine=/usr/lib/wine/wine64
export WINEDEBUG=-all WINEPREFIX=$work/wine
clean_up() {
    # It would stay until its last program has been gone for a while.
    [ ! -d "$WINEPREFIX" ] || WINEPREFIX=$WINEPREFIX /usr/lib/wine/wineserver64 -k >/dev/null 2>&1 || true
}

stage="installing the compilers"
if ! use_debians_rust mingw-w64 wine64 osslsigncode openssl >"$work/log" 2>&1; then
    skip "all of it: compilers for other platforms can't be installed: $(tail -n 1 "$work/log")"
    stage=finished
    exit
fi
# A folder of its own: this compiler is another one than the one that built all else.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}/cross CARGO_INCREMENTAL=0
export CARGO_UNSTABLE_BUILD_STD=std,panic_abort CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_RUNNER=$wine

# Most of the time goes to compiling: with the profile of other tests, three times as much as this takes.
# What isn't run needs no optimizing at all, what the tests compress and decode with a little. C that
# `ci/packages.sh` or any other build compiles is left out where nothing is linked.
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=none CFLAGS_x86_64_win7_windows_gnu=-O1
export CFLAGS_aarch64_apple_darwin=-O0
for name in aarch64_unknown_linux_gnu x86_64_unknown_linux_musl; do
    export "CC_$name=true" "AR_$name=true"
done

# lint TARGET TARGET WHAT...: what is built for both, without a warning. At once, as much of a standard library
# is compiled on one core.
lint() {
    cargo clippy --locked --target "$1" --target "$2" "${@:3}" -- -D warnings
}
stage=clippy
check "it and its tests compile for $windows and aarch64-apple-darwin without a warning" \
    lint "$windows" aarch64-apple-darwin --all-targets
# Their tests are those that run here.
check "it compiles for aarch64-unknown-linux-gnu and x86_64-unknown-linux-musl without a warning" \
    lint aarch64-unknown-linux-gnu x86_64-unknown-linux-musl --lib --bins

# tested NAME ARGUMENTS...: counts the tests of one program as this script's own checks.
tested() {
    local name=$1 line status=0
    shift
    cargo test --locked --target "$windows" "$@" >"$work/log" 2>&1 || status=$?
    line=$(grep -E '^test result: ' "$work/log" | tail -n 1)
    if [[ $status -eq 0 && $line =~ ([0-9]+)\ passed\;\ 0\ failed ]]; then
        ok "$name: ${BASH_REMATCH[1]} tests"
    else
        not_ok "$name"
    fi
}
stage="tests by Wine"
# What only computes does so on any system, and takes minutes without optimizing.
tested "the library's own tests pass on Windows' calls" --lib -- --skip codec:: --skip tree::hashing::
tested "the command does what it says on Windows' calls" --test windows
tested "executables of onefile start and stop on Windows' calls" --test windows_onefile

# An executable of a small program, by the command that the tests were built with.
stage="onefile on Windows"
command=$CARGO_TARGET_DIR/$windows/debug/bundlecp.exe
users=$WINEPREFIX/drive_c/users
mkdir -p "$work/app" "$users/x"
x86_64-w64-mingw32-gcc ci/cross/interrupted.c -o "$work/app/app.exe"
export BUNDLECP_CACHE_DIR='C:\users\x\cache'
build_onefile() { (cd "$work" && "$wine" "$command" onefile -q app -o app-one.exe); }
# interrupt EXECUTABLE: 100, and 0 for Ctrl-C: its program got that, and what waits for the program lives on
# to tell.
interrupt() {
    local status=0
    (cd "$work" && python3 "$repo/ci/cross/interrupt.py" "$wine" "$1") || status=$?
    [ $status -eq 100 ]
}
sign() {
    (cd "$work" && openssl req -x509 -newkey rsa:2048 -keyout key.pem -out cert.pem -days 2 -nodes -subj /CN=test &&
        osslsigncode sign -certs cert.pem -key key.pem -in app-one.exe -out signed.exe &&
        osslsigncode verify -CAfile cert.pem signed.exe && "$wine" "$command" verify signed.exe) &&
        interrupt signed.exe
}
# As by a double click: without a console, and without any stream.
start_windowed() {
    local status=0
    mkdir -p "$work/gui" && x86_64-w64-mingw32-gcc -mwindows ci/cross/windowed.c -o "$work/gui/gui.exe" || return
    (cd "$work" && "$wine" "$command" onefile -q gui -o gui-one.exe && "$wine" start /wait gui-one.exe) || status=$?
    [ $status -eq 100 ] && [ "$(tr -d '\r' <"$work/streams")" = "0 0 0" ]
}
# What Wine shows as rights of everybody.
distrust() {
    local status=0
    chmod 777 "$users/x"
    "$wine" "$command" cache list --dir "$BUNDLECP_CACHE_DIR" 2>"$work/refused" || status=$?
    chmod 755 "$users/x"
    [ $status -eq 5 ] && grep -F 'is writable by others' "$work/refused" && "$wine" "$command" cache list --dir "$BUNDLECP_CACHE_DIR"
}
check "an executable is made of a program" build_onefile
check "Ctrl-C reaches its program, whose exit status comes back" interrupt app-one.exe
check "without a console or a stream, it starts, and its exit status comes back" start_windowed
check "signed, it is verified, and starts" sign
check "a cache that others can write to is refused" distrust

stage=finished
