# shellcheck shell=bash
# What scripts of checks share: `ok - …` or `not ok - …` for each, and one closing line, whatever happens.
#
# The one that sources this has set $script, its name, and $work, a folder of its own, which is removed at the end. It sets
# $stage to what it is about to do, and to `finished` behind all checks. A function `clean_up` of its own is called before
# the folder is removed.
# shellcheck disable=SC2154 # set by the one that sources this

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stage=start
passed=0
failed=0
skipped=0
clean_up() { :; }

ok() { passed=$((passed + 1)); echo "ok - $script: $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $script: $1"
    tail -n 20 "$work/log" 2>/dev/null | cut -c 1-2000 | sed 's/^/# /'
}
skip() { skipped=$((skipped + 1)); echo "skipped - $script: $1"; }

# The closing line must appear even when a step before the checks fails, so the trap prints it, and to the first standard
# output: a signal can come while a step's own output goes to the log.
exec 3>&1
finish() {
    trap - EXIT
    exec 1>&3
    if [ "$stage" != finished ]; then not_ok "$stage: stopped"; fi
    clean_up || true
    rm -rf --one-file-system "$work" ${partial:+"$partial"} || true
    echo "$passed passed, $failed failed, $skipped skipped"
    exit $((failed > 0))
}
trap finish EXIT

# check NAME COMMAND...: commands run in an `if`, where errexit is off, so functions given here chain with &&. A status of
# 77 says that it can't be tried here, the last line why. Where $only is set, only names that match it are checked. What
# takes long says how long.
check() {
    local status=0 began=$SECONDS took
    # shellcheck disable=SC2053 # a pattern
    [[ $1 == ${only:-*} ]] || return 0
    "${@:2}" >"$work/log" 2>&1 || status=$?
    took=$((SECONDS - began))
    case $status in
        0) ok "$1$([ $took -lt 10 ] || echo " ($took s)")" ;;
        77) skip "$1: $(tail -n 1 "$work/log")" ;;
        *) not_ok "$1" ;;
    esac
}

# Sets $bundlecp to the binary to test.
find_bundlecp() {
    if [ -n "${BUNDLECP:-}" ]; then
        bundlecp=$(realpath "$BUNDLECP")
    else
        cargo build --release --manifest-path "$repo/Cargo.toml" --bin bundlecp >"$work/log" 2>&1
        bundlecp=${CARGO_TARGET_DIR:-$repo/target}/release/bundlecp
    fi
    test -x "$bundlecp"
}

# install PACKAGE...: those of Debian's packages that are missing, where there are such.
install_packages() {
    local missing=() name root=
    command -v dpkg-query >/dev/null || return 0
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "missing: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || root="sudo -n"
    $root env DEBIAN_FRONTEND=noninteractive flock "$packages_lock" \
        sh -c 'apt-get update -q; apt-get install -qy --no-install-recommends "$@"' install "${missing[@]}"
}
# Another script may install something too.
packages_lock=${TMPDIR:-/tmp}/bundlecp-apt.lock
