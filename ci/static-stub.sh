#!/usr/bin/env bash
# Proves that the stub, linked statically against musl, is small and starts a bundle.
#
# A release is built for the target x86_64-unknown-linux-musl (README.md). Here, where that target may not be had, the usual one is
# linked against Debian's musl instead: the same code, and the same C library but for its version.
#   BUNDLECP        the binary that makes the executable (default: the release build of this repository)
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed[, K skipped]`; exits 1 if any failed.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bundlecp=${BUNDLECP:-$repo/target/release/bundlecp}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

if [[ $(uname -m) != x86_64 ]]; then
    echo "0 passed, 0 failed, 1 skipped"
    exit
fi

# check NAME COMMAND...
check() {
    if "${@:2}" >"$work/log" 2>&1; then
        passed=$((passed + 1)) && echo "ok - static-stub: $1"
    else
        failed=$((failed + 1)) && echo "not ok - static-stub: $1" && tail -n 20 "$work/log" | sed 's/^/# /'
    fi
}

if ! command -v musl-gcc >/dev/null; then
    flock /var/lib/dpkg/lock-frontend true 2>/dev/null || true
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends musl-tools; } >"$work/log" 2>&1
fi

build() {
    # Debian's libgcc asks glibc first where unwinding tables are; musl's own way is its second.
    echo 'int _dl_find_object(void *address, void *found) { (void)address; (void)found; return -1; }' >"$work/find.c"
    musl-gcc -c "$work/find.c" -o "$work/find.o"
    CC_x86_64_unknown_linux_gnu=musl-gcc \
        RUSTFLAGS="-C target-feature=+crt-static -C linker=musl-gcc -C relocation-model=static -C link-arg=$work/find.o" \
        cargo build --locked --manifest-path "$repo/Cargo.toml" --profile stub --bin bundlecp-stub --no-default-features \
        --target x86_64-unknown-linux-gnu --target-dir "$repo/target/static"
    cp "$repo/target/static/x86_64-unknown-linux-gnu/stub/bundlecp-stub" "$work/stub"
}

is_static() { ! grep -q 'ld-linux\|ld-musl' "$work/stub"; }
is_small() { stat -c %s "$work/stub" && (($(stat -c %s "$work/stub") <= 1 << 20)); }

starts() {
    mkdir -p "$work/app/lib" && cp /bin/sh "$work/app/app" && ln -sf lib "$work/app/link" &&
        "$bundlecp" onefile "$work/app" --entry app -o "$work/app.run" --stub "$work/stub" -f -q &&
        for _ in first later; do
            [[ $(BUNDLECP_CACHE_DIR=$work/cache "$work/app.run" -c 'echo $1' sh "a b") == "a b" ]] || return 1
        done
}

check "it is built" build
check "it needs no other library" is_static
check "it has at most 1 MiB" is_small
check "it starts a bundle" starts
echo "$passed passed, $failed failed"
exit $((failed > 0))
