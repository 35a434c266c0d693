#!/usr/bin/env bash
# Proves on bundles that PyInstaller itself has built that an executable made by `bundlecp onefile` starts like the folder
# that it was made of: also many times at once, in surroundings that are hostile, and from a program that PyInstaller made.
#
# Needs Python 3 and, the first time, package registries; installs the rest by itself. What needs mounts is left out where
# they can't be made. Made for Debian 12.
#   BUNDLECP        the binary to test (default: the release build of this repository)
#   BUNDLECP_STUB   what executables begin with (default: bundlecp-stub of this repository, with the profile `stub`)
#   BUNDLECP_CACHE, PYTHON: see ci/bundles.sh
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=starts
# Resolved, because the table of mounts is. Another user has to reach what is in it.
work=$(realpath "$(mktemp -d)")
chmod 755 "$work"
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source=ci/bundles.sh
source "$repo/ci/bundles.sh"

# ---- setup

install_for_starts() {
    install_for_bundles
    [ "$(id -u)" -ne 0 ] || install_packages strace dosfstools exfatprogs exfat-fuse fusefat e2fsprogs util-linux
}

# make_program: a bundle whose arguments say what it does.
find_or_make_program() {
    local all=("${packages[@]}")
    packages=("${all[@]:0:1}")
    bundles=(program)
    rm -f "$work"/src/*.{py,spec}
    cp "$repo/ci/starts/program.py" "$work/src"
    find_or_make_bundles
    packages=("${all[@]}")
}

# A folder that takes no time to start, and some to unpack: a shell, many small files and a large one.
make_tiny() {
    local number
    mkdir -p "$work/tiny/_internal/many"
    cp /bin/sh "$work/tiny/tiny"
    echo right >"$work/tiny/_internal/word"
    ln -s word "$work/tiny/_internal/link"
    for number in {1..400}; do echo "$number" >"$work/tiny/_internal/many/$number"; done
    head -c 4000000 /dev/urandom >"$work/tiny/_internal/large"
}

# onefile NAME FOLDER: makes $work/NAME.run.
onefile() { "$bundlecp" onefile "$2" --entry "$1" -o "$work/$1.run" -q --stub "$stub"; }

starts() { BUNDLECP=$bundlecp "$python" "$repo/ci/starts/starts.py" "$@"; }

# ---- the checks

check_bundle() {
    local name=$1 folder=$real/$1
    check "$name: an executable is made" onefile "$name" "$folder"
    check "$name: it prints what the folder prints, and the cache has the folder" starts prints "$folder" "$work/$name.run"
    check "$name: where what it prints can't go, it says and does what the folder does" \
        starts full "$folder" "$work/$name.run"
    check "$name: a signal ends it as it ends the folder's" starts stopped "$folder" "$work/$name.run"
    if [ "$name" = qt ]; then
        check "$name: it aborts as the folder does" starts aborts "$folder" "$work/$name.run"
    fi
    rm -f "$work/$name.run"
}

check_program() {
    local folder=$program/program app=$work/program.run method what
    check "program: an executable is made" onefile program "$folder"
    check "arguments of any bytes, the own name, folder and variables are the folder's" starts arguments "$folder" "$app"
    check "exit statuses are the folder's" starts status "$folder" "$app"
    check "signals end it as they end the folder's" starts signals "$folder" "$app"
    for method in spawn forkserver fork; do
        check "workers by $method run from the same folder" starts pool "$folder" "$app" "$method"
    done
    check "sys.executable is the program in the same folder" starts again "$folder" "$app"
    for what in program original; do
        check "it becomes the $what by execv" starts become "$folder" "$app" "$what"
    done
    check "it starts a new one, and ends" starts restart "$folder" "$app"
    check "and with PYINSTALLER_RESET_ENVIRONMENT" \
        starts restart "$folder" "$app" PYINSTALLER_RESET_ENVIRONMENT=1
    check "cache clean leaves what runs, and then not" starts in_use "$folder" "$app"
    check "a daemon that closed all descriptors runs too" starts in_use "$folder" "$app" daemon
    check "one that unpacks for each start only does what the folder does, and leaves nothing" ephemeral
    check "clean-env gives the user's own library path" starts outside "$folder" "$app"
}

ephemeral() {
    "$bundlecp" onefile "$program/program" --entry program -o "$work/ephemeral.run" -q --stub "$stub" --ephemeral &&
        starts ephemeral "$program/program" "$work/ephemeral.run"
}

# A second start changes nothing, and reads of the executable only its end.
asks_little() {
    local start
    for start in first second; do
        env -i PATH=/usr/bin:/bin HOME="$work" BUNDLECP_CACHE_DIR="$work/cache-of-$1" \
            strace -f -y -s 64 -o "$work/calls-of-$start" "$work/$1.run" "${@:2}" || return
    done
    "$python" "$repo/ci/starts/calls.py" "$work/calls-of-second" "$work/$1.run"
}

storm() { BUNDLECP=$bundlecp "$python" "$repo/ci/starts/storm.py" "$1" "$work/tiny" "$work/tiny.run"; }

# survives CASE: see ci/starts/surroundings.sh. In a name space of its own, so that no mount stays.
survives() {
    local room=$work/room
    if [ "$(id -u)" -ne 0 ] || ! unshare -m true; then
        echo "mounts need root"
        return 77
    fi
    rm -rf --one-file-system "$room"
    mkdir -m 755 "$room"
    BUNDLECP=$bundlecp TINY=$work/tiny.run TINY_FOLDER=$work/tiny PROGRAM=$work/program.run PROGRAM_FOLDER=$program/program \
        ROOM=$room unshare -m --propagation private bash "$repo/ci/starts/surroundings.sh" "$1"
}

check_surroundings() {
    local name what
    while read -r name what; do
        check "$what" survives "$name"
    done <<'END'
noexec a noexec folder is passed over
full a full folder is passed over
full_ext4 a full ext4 is passed over
full_meanwhile one that gets full meanwhile is passed over
no_inodes one that can't hold as many files is passed over
vfat vfat is passed over
fat FAT by a daemon is passed over
exfat exFAT is passed over
read_only_home a home that is read-only is passed over
no_home without HOME the folders for temporary files do
another_users_cache another user's cache is refused
ordinary_user an ordinary user has a cache of its own, which root does not use
no_proc it starts without /proc
nowhere where all is noexec, each folder is named with its reason, and nothing is left
nowhere_to_write where all is read-only, each folder is named with its reason
full_and_nowhere where all is full, each folder is named with its reason
END
}

takes_a_onefile() {
    mkdir -p "$work/from" &&
        "$bundlecp" onefile --from-pyinstaller "$onefile" -o "$work/from/$1.run" -q --stub "$stub" "${@:2}"
}

takes_it_again() {
    takes_a_onefile again -j 1 && cmp "$work/from/app.run" "$work/from/again.run" &&
        [ "$(ls -A "$work/from")" = again.run$'\n'app.run ]
}

# prints_what_it_prints: first and later, and nothing is left of either.
prints_what_it_prints() {
    local wanted got start
    wanted=$(run "$onefile" 2>&1) && [ -n "$wanted" ] || return
    for start in first second; do
        got=$(run "$work/from/app.run" 2>&1) && echo "$start: $got" && [ "$got" = "$wanted" ] || return
    done
    ls -A "$work/.cache/bundlecp" && [ "$(find "$work/.cache/bundlecp" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 1 ]
}

unpacks_what_it_unpacks() {
    env -i HOME="$work" PATH=/usr/bin:/bin "$onefile" "$work/by-itself" &&
        env -i HOME="$work" PATH=/usr/bin:/bin "$work/from/app.run" "$work/by-app" &&
        "$bundlecp" verify --ignore mode,mtime "$work/by-itself" "$work/by-app"
}

stage="installs what is needed"
install_for_starts >"$work/log" 2>&1
stage="makes the bundles"
find_or_make_bundles >"$work/log" 2>&1
real=$entry
find_or_make_program >"$work/log" 2>&1
program=$entry
# shellcheck source=ci/onefile-bundles.sh
source "$repo/ci/onefile-bundles.sh"
find_or_make_bundles >"$work/log" 2>&1
onefile=$entry/onefile
stage="finds or builds bundlecp"
target=${CARGO_TARGET_DIR:-$repo/target}
find_bundlecp
if [ -n "${BUNDLECP_STUB:-}" ]; then
    stub=$(realpath "$BUNDLECP_STUB")
else
    cargo build --profile stub --manifest-path "$repo/Cargo.toml" --bin bundlecp-stub --no-default-features >"$work/log" 2>&1
    stub=$target/stub/bundlecp-stub
fi
test -x "$stub"
stage=checks
make_tiny
for name in stdlib numpy-pillow qt; do
    check_bundle "$name"
done
check_program
check "tiny, a shell and its files: an executable is made" onefile tiny "$work/tiny"
check "a second start asks little of the system, and changes nothing" asks_little tiny -c true
check "so does one of a PyInstaller program" asks_little program folder
check "64 first starts at once, some killed, 50 times: each is right, and one folder is left" storm cold
check "1000 later starts, 50 at once: each is right" storm warm
check_surroundings
check "an executable is made of a program that PyInstaller's --onefile made" takes_a_onefile app
check "the same bytes again, and nothing is left beside" takes_it_again
check "it prints what that program prints" prints_what_it_prints
check "it has the files that that program unpacks" unpacks_what_it_unpacks
stage=finished
