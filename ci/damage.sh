#!/usr/bin/env bash
# Proves that bundles that lost their links in each of the usual ways are diagnosed to the last link, mended, and run: real
# ones that PyInstaller has built, a `node_modules`, a virtual environment and an application for macOS. And that nothing
# is found in bundles that lost nothing, in Debian's packages and in Python's own folder.
#
# Needs Python 3 and, the first time, package registries; installs the rest by itself. exFAT is left out where it can't be
# mounted. Made for Debian 12.
#   BUNDLECP        the binary to test (default: the release build of this repository)
#   BUNDLECP_CACHE, PYTHON: see ci/bundles.sh
#   TABLE           a file that gets the table of docs/damage.md
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=damage
# Resolved, because the table of mounts is.
work=$(realpath "$(mktemp -d)")
umask 022
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source=ci/bundles.sh
source "$repo/ci/bundles.sh"

clean_up() {
    if mountpoint -q "$work/exfat"; then umount "$work/exfat" || umount -l "$work/exfat"; fi
    [ -z "${device:-}" ] || losetup -d "$device"
}

# What is counted in trees owes nothing to bundlecp.
tree() { "$python" "$repo/ci/damage/tree.py" "$@"; }

# ---- bundles; each has a program that fails when a link to its library is none, or prints a line

# make_npm TREE: what npm and its workspaces make. The program finds its data beside what its link leads to.
make_npm() {
    local modules=$1/node_modules
    mkdir -p "$modules/.bin" "$modules/tool/bin" "$modules/@scope/other/bin" "$1/packages/own"
    echo '{"name": "npm", "workspaces": ["packages/*"]}' >"$1/package.json"
    echo '{"name": "tool", "bin": {"tool": "bin/tool.sh"}}' >"$modules/tool/package.json"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "npm $(cat "$(dirname "$(readlink -f "$0")")/../words")"\n' >"$modules/tool/bin/tool.sh"
    echo "found its words" >"$modules/tool/words"
    echo '{"name": "@scope/other", "bin": "bin/other.sh"}' >"$modules/@scope/other/package.json"
    printf '#!/bin/sh\necho other\n' >"$modules/@scope/other/bin/other.sh"
    echo '{"name": "own", "version": "1.0.0"}' >"$1/packages/own/package.json"
    echo "module.exports = 1" >"$1/packages/own/index.js"
    chmod 755 "$modules/tool/bin/tool.sh" "$modules/@scope/other/bin/other.sh"
    ln -s ../tool/bin/tool.sh "$modules/.bin/tool"
    ln -s ../@scope/other/bin/other.sh "$modules/.bin/other"
    ln -s ../packages/own "$modules/own"
}

# make_venv TREE: Python's own.
make_venv() {
    "$python" -m venv --without-pip "$1"
    cp "$repo/ci/damage/tree.py" "$1"/lib/python*/site-packages/
}

# mach_o TYPE TEXT, the type in octal: the beginning of a file for macOS, and something to tell it from others.
mach_o() { printf "\\xcf\\xfa\\xed\\xfe\\7\\0\\0\\1\\3\\0\\0\\0\\$1\\0\\0\\0%048d%s" 0 "$2"; }

# make_app TREE: an application as PyInstaller lays it out, with a framework.
make_app() {
    local contents=$1/Contents framework=$1/Contents/Frameworks/Python.framework
    mkdir -p "$contents/MacOS" "$contents/Resources/pkg" "$contents/Frameworks/pkg" "$contents/Frameworks/a__dot__b" \
        "$framework/Versions/3.11/Resources" "$contents/_CodeSignature"
    echo '<plist/>' | tee "$contents/Info.plist" >"$framework/Versions/3.11/Resources/Info.plist"
    echo '<seal/>' >"$contents/_CodeSignature/CodeResources"
    mach_o 2 main >"$contents/MacOS/app"
    mach_o 6 python >"$framework/Versions/3.11/Python"
    mach_o 6 ssl >"$contents/Frameworks/libssl.3.dylib"
    mach_o 10 code >"$contents/Frameworks/pkg/code.so"
    mach_o 10 x >"$contents/Frameworks/a__dot__b/x.so"
    chmod 755 "$contents/MacOS/app" "$framework/Versions/3.11/Python" "$contents"/Frameworks/{libssl.3.dylib,*/*.so}
    echo modules >"$contents/Resources/base_library.zip"
    echo '{}' >"$contents/Resources/pkg/data.json"
    ln -s 3.11 "$framework/Versions/Current"
    ln -s Versions/Current/Python Versions/Current/Resources "$framework"
    ln -s ../Frameworks/Python.framework ../Frameworks/libssl.3.dylib "$contents/Resources"
    ln -s ../../Frameworks/pkg/code.so "$contents/Resources/pkg/code.so"
    ln -s ../Resources/base_library.zip "$contents/Frameworks/base_library.zip"
    ln -s ../../Resources/pkg/data.json "$contents/Frameworks/pkg/data.json"
    ln -s a__dot__b "$contents/Frameworks/a.b"
}

# program NAME TREE: runs what the bundle has to run; an application for macOS can't.
program() {
    case $1 in
        npm) run "$2/node_modules/.bin/tool" ;;
        venv) run_python "$2" ;;
        app) true ;;
        *) run "$2/$1" ;;
    esac
}
run_python() {
    local prefix
    prefix=$(env -i PATH=/usr/bin:/bin "$1/bin/python" -c 'import sys; print(sys.prefix)') && [ "$prefix" = "$1" ] && echo venv runs
}

# ---- damages, each of $1, a tree, into $2; $3 is its name

by_zip() { (cd "${1%/*}" && zip -1qr "$work/x.zip" "${1##*/}") && unzip -q "$work/x.zip" -d "$work/un" && arrived "$2"; }
by_make_archive() {
    "$python" -c 'import shutil, sys; shutil.make_archive(sys.argv[2], "zip", *sys.argv[3:]), shutil.unpack_archive(sys.argv[2] + ".zip", sys.argv[1])' \
        "$work/un" "$work/x" "${1%/*}" "${1##*/}" && arrived "$2"
}
by_zipfile() {
    (cd "${1%/*}" && "$python" -m zipfile -c "$work/x.zip" "${1##*/}") &&
        "$python" -m zipfile -e "$work/x.zip" "$work/un" && arrived "$2"
}
by_copytree() { "$python" -c 'import shutil, sys; shutil.copytree(*sys.argv[1:])' "$1" "$2"; }
by_cp() { cp -rL "$1" "$2"; }
by_7z() {
    [ -x "$sevenzip" ] || { echo "7-Zip can't be downloaded"; return 77; }
    (cd "${1%/*}" && "$sevenzip" a -bso0 -bd -mx1 "$work/x.7z" "${1##*/}") &&
        "$sevenzip" x -bso0 -bd -o"$work/un" "$work/x.7z" && arrived "$2"
}
by_exfat() {
    mountpoint -q "$work/exfat" || { echo "exFAT can't be mounted here"; return 77; }
    cp -rL --preserve=timestamps "$1" "$work/exfat/x" && cp -r "$work/exfat/x" "$2" && rm -rf "$work/exfat/x"
}
# A checkout where links can't be made, as on Windows: text files in their places. That git keeps no empty folders isn't
# what is looked at.
by_git() {
    (cd "$1" && git init -q "$work/git" && export GIT_DIR=$work/git/.git GIT_WORK_TREE=$1 && git add -Af . &&
        git -c user.name=x -c user.email=x@example.org commit -qm x) &&
        git -c core.symlinks=false clone -q "$work/git" "$2" && rm -rf "$2/.git" &&
        (cd "$1" && find . -type d -empty) | (cd "$2" && xargs -r mkdir -p)
}
by_modes() { cp -a "$1" "$2" && find "$2" -type f -exec chmod a-x {} +; }

arrived() { mv "$work/un/"* "$1" && rm -rf "$work/un" "$work"/x.*; }

damages=(zip make_archive zipfile copytree cp 7z exfat git modes)

# ---- the checks

# The functions from here on read what check_damage has set: name, whole, broken, line, how.

# What was lost is named, once for each link, and nothing else; the counts are left in $work/counts.
diagnosed() {
    local status=0
    "$bundlecp" doctor --json "$broken" >"$work/found.json" || status=$?
    echo "doctor exited $status" && tree told "$whole" "$broken" "$work/found.json" "$work/counts" "$status"
}

# By rules alone: what is certain comes back, what isn't is listed.
mended() {
    "$bundlecp" repair --apply --json "$broken" >"$work/repaired.json" &&
        tree mended "$whole" "$broken" "$work/repaired.json" "$work/counts"
}

# Where rules decide all, the bundle is what it was, and doctor has nothing more to say.
equal_again() {
    local ignored=mtime
    # What exFAT says of modes is the same for all files, and git knows only who may run one.
    [ "$how" != exfat ] || ignored=mtime,mode
    "$bundlecp" verify --ignore "$ignored" "$whole" "$broken" && silent "$broken"
}

decided() { "$python" -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["listed"])' "$work/counts"; }

silent() { "$bundlecp" doctor --json "$1" >"$work/found.json" && tree silent "$work/found.json"; }

restored() {
    "$bundlecp" repair --apply --from "$work/whole.manifest" "$broken" && "$bundlecp" verify "$work/whole.manifest" "$broken" &&
        tree same "$whole" "$broken"
}

runs_again() {
    local again
    # An environment says where it is, and runs there.
    if [ "$name" = venv ]; then
        mv "$whole" "$work/aside" && mv "$broken" "$whole"
        again=$(program "$name" "$whole") || again=
        mv "$whole" "$broken" && mv "$work/aside" "$whole"
    else
        again=$(program "$name" "$broken")
    fi
    echo "printed: $again" && [ "$again" = "$line" ]
}

check_damage() {
    local how=$1 broken=$work/broken/$name status=0
    mkdir -p "$work/broken"
    "by_$how" "$whole" "$broken" >"$work/log" 2>&1 || status=$?
    case $status in
        0) ;;
        77) skip "$name, $how: $(tail -n 1 "$work/log")"; return ;;
        *) not_ok "$name, $how: damages"; return ;;
    esac
    check "$name, $how: doctor names what was lost, and nothing else" diagnosed
    check "$name, $how: repair does what is certain, and lists the rest" mended
    # The interpreter of an environment isn't in it: a copy of it can't be told from one that is meant. And of a link to a
    # folder that became an empty one, nothing tells which of several folders it named.
    if decided; then
        check "$name, $how: it is equal to what it was" equal_again
        check "$name, $how: it runs" runs_again
    fi
    check "$name, $how: repair --from a manifest restores modes and times as well" restored
    check "$name, $how: it runs as it was" runs_again
    tree row "$name" "$how" "$work/counts" >>"$work/table"
    rm -rf "$work/broken" "$work/un" "$work/git" "$work"/x.*
}

check_bundle() {
    local name=$1 whole=$work/whole/$1 line how
    line=$(program "$name" "$whole")
    check "$name: it runs, and nothing is wrong with it" silent "$whole"
    check "$name: a manifest is made" "$bundlecp" manifest "$whole" -f -o "$work/whole.manifest"
    for how in "${damages[@]}"; do check_damage "$how"; done
}

# Undamaged trees: whatever may be found there is a false alarm.
check_clean() {
    local package folder
    for package in libpython3-stdlib libssl3 git zsh-common; do
        folder=$work/deb/$package
        mkdir -p "$folder"
        (cd "$work/deb" && apt-get download -q "$package" && dpkg-deb -x "$package"_*.deb "$folder") >"$work/log" 2>&1 ||
            { skip "Debian's $package: can't be downloaded"; continue; }
        check "Debian's $package: nothing is wrong with it" silent "$folder"
    done
    check "Python's own folder: nothing is wrong with it" silent \
        "$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
    check "an environment with PyInstaller, numpy and Qt: nothing is wrong with it" silent "$entry/venv"
    check "what npm installs for workspaces: nothing is wrong with it" silent_npm
    check "Electron's own folder: nothing is wrong with it" silent_electron
    check "an environment of conda's: nothing is wrong with it" silent_conda
}

silent_npm() {
    local tree=$work/npm
    command -v npm || { echo "there is no npm"; return 77; }
    mkdir -p "$tree/packages/own" "$tree/packages/other"
    echo '{"private": true, "workspaces": ["packages/*"]}' >"$tree/package.json"
    echo '{"name": "own", "version": "1.0.0", "bin": "own.js", "dependencies": {"typescript": "5.9.3", "rollup": "4.40.0"}}' \
        >"$tree/packages/own/package.json"
    echo '{"name": "@scope/other", "version": "1.0.0", "dependencies": {"own": "1.0.0", "eslint": "9.25.0"}}' \
        >"$tree/packages/other/package.json"
    printf '#!/usr/bin/env node\n' >"$tree/packages/own/own.js"
    (cd "$tree" && npm install --ignore-scripts) || { echo "npm can't install"; return 77; }
    [ -L "$tree/node_modules/own" ] && [ -L "$tree/node_modules/.bin/own" ] && silent "$tree"
}
# Its package is a script that downloads it from elsewhere.
silent_electron() {
    command -v npm || { echo "there is no npm"; return 77; }
    mkdir "$work/electron"
    (cd "$work/electron" && timeout 60 npm install electron@39.2.0) || { echo "npm can't install it"; return 77; }
    silent "$work/electron/node_modules/electron/dist"
}
silent_conda() {
    local tree=$work/conda command
    command=$(command -v micromamba conda | head -n 1)
    [ -n "$command" ] || { echo "there is no conda"; return 77; }
    timeout 300 "$command" create -y -p "$tree" -c conda-forge python numpy || { echo "it can't install"; return 77; }
    silent "$tree"
}

stage="installs what is needed"
install_for_bundles >"$work/log" 2>&1
install_packages zip unzip git exfatprogs exfat-fuse >"$work/log" 2>&1
# Its package and the older p7zip, which other scripts use, exclude each other.
mkdir "$work/7zip"
(cd "$work/7zip" && { apt-get download -q 7zip || { apt-get update -q && apt-get download -q 7zip; }; } &&
    dpkg-deb -x 7zip_*.deb .) >"$work/log" 2>&1 || true
sevenzip=$work/7zip/usr/bin/7zz
stage="builds the bundles"
find_or_make_bundles >"$work/log" 2>&1
mkdir "$work/whole"
for name in "${bundles[@]}"; do cp -a "$entry/$name" "$work/whole/$name"; done
for name in npm venv app; do "make_$name" "$work/whole/$name"; done
stage="finds or builds bundlecp"
find_bundlecp
stage="mounts exFAT"
mkdir "$work/exfat"
truncate -s 1G "$work/image"
mkfs.exfat "$work/image" >"$work/log" 2>&1
device=$(losetup --find --show "$work/image" 2>>"$work/log") || device=
[ -z "$device" ] || mount.exfat-fuse "$device" "$work/exfat" >>"$work/log" 2>&1 || true
for name in "${bundles[@]}" npm venv app; do
    stage="checks $name"
    check_bundle "$name"
done
stage="checks what is undamaged"
check_clean
[ -z "${TABLE:-}" ] || tree table "$work/table" >"$TABLE"
stage=finished
