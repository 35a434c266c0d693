# shellcheck shell=bash
# Compilers for other platforms, from Debian's and PyPI's packages alone. Sourced after ci/checks.sh.
#
# Debian's cargo builds the standard library of a target itself, from Debian's source of it; Zig's C
# compiler has the C libraries of all targets.
# shellcheck disable=SC2154 # $work

# The last one of PyPI's releases of this compiler that was tried.
ziglang=0.17.1

# use_debians_rust PACKAGE...: from here on, cargo is Debian's, and it finds compilers for the targets. The
# packages are Debian's that are needed as well. Sets $venv, Python's environment.
use_debians_rust() {
    local name
    install_packages rustc-web cargo-web rust-web-src rust-web-clippy python3-venv "$@" || return
    venv=$work/venv
    python3 -m venv "$venv" && "$venv/bin/pip" install -q "ziglang==$ziglang" || return
    # Not through Python, which would start once for every file.
    zig=$("$venv/bin/python" -c 'import ziglang; print(ziglang.__path__[0] + "/zig")')
    zig_compiler aarch64_apple_darwin aarch64-macos
    zig_compiler aarch64_unknown_linux_gnu aarch64-linux-gnu
    zig_compiler x86_64_unknown_linux_musl x86_64-linux-musl
    printf '#!/bin/sh\nexec "%s" ar "$@"\n' "$zig" >"$work/ar"
    chmod +x "$work/ar"
    for name in aarch64_apple_darwin aarch64_unknown_linux_gnu x86_64_unknown_linux_musl; do
        export "CC_$name=$work/$name" "AR_$name=$work/ar"
    done
    export CC_x86_64_win7_windows_gnu=x86_64-w64-mingw32-gcc AR_x86_64_win7_windows_gnu=x86_64-w64-mingw32-ar
    export CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
    # What only nightly versions have otherwise is how the standard library is built.
    export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 PATH=/usr/bin:$PATH
}

# zig_compiler NAME TARGET: a C compiler for another platform, without what Rust's `cc` says to Clang.
zig_compiler() {
    cat >"$work/$1" <<EOF
#!/usr/bin/env bash
kept=()
while [ \$# -gt 0 ]; do
    case \$1 in
        --target=*) ;;
        -arch) shift ;;
        *) kept+=("\$1") ;;
    esac
    shift
done
exec "$zig" cc -target $2 "\${kept[@]}"
EOF
    chmod +x "$work/$1"
}
