#!/usr/bin/env bash
# Every way to get bundlecp, each built, installed and used: `cargo install`, a static tarball, a wheel, a
# package for Debian.
#
#   ci/packages.sh FOLDER   for a release: what was built stays in FOLDER
#   ci/packages.sh          a check of the same steps, which optimizes less
#
# The static build is of the target x86_64-unknown-linux-musl, which needs no library of the system: one
# binary runs on every Linux, and so is in the tarball, in the wheel (whose tag says so to pip) and in the
# package. Where rustup has no such target, its standard library is built from Debian's source.
set -euo pipefail
cd "$(dirname "$0")/.."
script=packages
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source ci/checks.sh
# shellcheck source=ci/compilers.sh
source ci/compilers.sh

dist=$(realpath -m "${1:-$work/dist}")
mkdir -p "$dist"
target=x86_64-unknown-linux-musl
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=bundlecp-$version-$target
maturin=1.16.0
cargo_deb=3.8.0

# works COMMAND: what its users do first, links included.
works() (
    bundlecp=$1
    at=$(mktemp -d "$work/use.XXXX") && cd "$at" &&
        [ "$("$bundlecp" --version)" = "bundlecp $version" ] &&
        mkdir -p app/lib && cp /bin/true app/app && echo x >app/lib/a && ln -s lib/a app/link &&
        "$bundlecp" pack -q app -o app.tar.zst && "$bundlecp" extract -q app.tar.zst -C out &&
        "$bundlecp" verify app out/app && [ "$(readlink out/app/link)" = lib/a ] &&
        "$bundlecp" onefile -q app --entry app -o app.run && BUNDLECP_CACHE_DIR=$at/cache ./app.run
)

stage="cargo install"
install_with_cargo() {
    cargo install --locked --path . --root "$work/cargo" && works "$work/cargo/bin/bundlecp"
}
check "cargo install gives both programs" install_with_cargo

stage="the static build"
if [ $# -eq 0 ]; then
    # Linking with all optimization takes longer than everything else here. The stub is as it is shipped: its
    # size is checked.
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
    export CARGO_PROFILE_STUB_LTO=fat CARGO_PROFILE_STUB_CODEGEN_UNITS=1 CARGO_PROFILE_STUB_OPT_LEVEL=s
fi
if ! use_debians_rust binutils >"$work/log" 2>&1; then
    skip "packages of the static build: $(tail -n 1 "$work/log")"
    stage=finished
    exit
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}/packages
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=$work/x86_64_unknown_linux_musl
# The C library is the compiler's, not one that comes with Rust.
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-C link-self-contained=no -C target-feature=+crt-static"
export CARGO_UNSTABLE_BUILD_STD=std,panic_abort
built=$CARGO_TARGET_DIR/$target

# The wheel's builder builds for the others, too: with its own flags all would be built twice.
wheel() {
    "$venv/bin/pip" install -q "maturin==$maturin" &&
        PATH=$venv/bin:$PATH maturin build --release --target "$target" --compatibility manylinux2014 --auditwheel check --out "$work/wheels" &&
        cp "$work"/wheels/*.whl "$dist/"
}
stub() { cargo build --locked --profile stub --target "$target" --bin bundlecp-stub --no-default-features; }
is_static() { [ -f "$1" ] && ! readelf --dynamic --program-headers "$1" | grep -E 'NEEDED|INTERP'; }
# In a root folder where nothing else is.
is_alone() {
    mkdir -p "$work/root/in" && cp "$built/release/bundlecp" "$work/root/" && ln -sf in "$work/root/in/link" &&
        chroot "$work/root" /bundlecp -q -R in out && [ "$(readlink "$work/root/out/link")" = in ]
}
is_small() { [ "$(stat -c %s "$built/stub/bundlecp-stub")" -le $((1 << 20)) ]; }
check "a wheel is made that says it runs on every Linux since 2014" wheel
check "the stub is made" stub
check "it needs no library" is_static "$built/release/bundlecp"
check "neither does the stub" is_static "$built/stub/bundlecp-stub"
check "the stub has at most 1 MiB" is_small
if [ "$(id -u)" -eq 0 ]; then check "it runs where there is nothing else" is_alone; fi

stage="the tarball"
tarball() {
    local folder=$work/$name
    mkdir -p "$folder/completions" && cp "$built/release/bundlecp" "$built/stub/bundlecp-stub" "$folder/" &&
        cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$folder/" &&
        "$folder/bundlecp" man >"$folder/bundlecp.1" &&
        "$folder/bundlecp" completions bash >"$folder/completions/bundlecp.bash" &&
        "$folder/bundlecp" completions zsh >"$folder/completions/_bundlecp" &&
        "$folder/bundlecp" completions fish >"$folder/completions/bundlecp.fish" &&
        SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) "$folder/bundlecp" pack -q "$folder" -f -o "$dist/$name.tar.gz"
}
use_tarball() {
    mkdir -p "$work/unpacked" && tar -xzf "$dist/$name.tar.gz" -C "$work/unpacked" && works "$work/unpacked/$name/bundlecp"
}
check "a tarball is made" tarball
check "what tar unpacks of it works" use_tarball

stage="the wheel"
use_wheel() {
    python3 -m venv "$work/user" && "$work/user/bin/pip" install -q --no-index --find-links "$dist" bundlecp &&
        works "$work/user/bin/bundlecp"
}
check "what pip installs of it works" use_wheel

stage="the Debian package"
deb() {
    # Without a standard library of its own: it isn't part of what is shipped.
    (unset RUSTC_BOOTSTRAP CARGO_UNSTABLE_BUILD_STD && CARGO_PROFILE_DEV_DEBUG=none cargo install -q --debug --locked --root "$work/tools" "cargo-deb@$cargo_deb") &&
        mkdir -p target/assets && cp "$work/$name/bundlecp.1" "$work/$name"/completions/* target/assets/ &&
        cp "$built/stub/bundlecp-stub" "$built/release/bundlecp-stub" &&
        "$work/tools/bin/cargo-deb" --no-build --target "$target" --output "$dist"
}
use_deb() {
    flock "$packages_lock" dpkg --install "$dist"/*.deb && works /usr/bin/bundlecp && man -w bundlecp &&
        bash -c '. /usr/share/bash-completion/completions/bundlecp && complete -p bundlecp' &&
        zsh -n /usr/share/zsh/vendor-completions/_bundlecp && fish -n /usr/share/fish/vendor_completions.d/bundlecp.fish &&
        flock "$packages_lock" dpkg --purge bundlecp && ! command -v /usr/bin/bundlecp
}
check "a Debian package is made" deb
if [ "$(id -u)" -eq 0 ] && install_packages man-db zsh fish >"$work/log" 2>&1; then
    check "what dpkg installs of it works, with manual and completions, and goes again" use_deb
else
    skip "installing the Debian package: needs root, man-db, zsh and fish"
fi

stage=checksums
sums() { (cd "$dist" && sha256sum -- *.tar.gz *.whl *.deb >SHA256SUMS && sha256sum --check SHA256SUMS); }
check "all that was built has its checksum" sums
ls -l "$dist"
stage=finished
