#!/usr/bin/env bash
# Proves on programs that PyInstaller itself has made that what bundlecp reads of them is what they unpack.
#
# Needs Python 3 and, the first time, package registries; installs the rest by itself. Made for Debian 12.
#   BUNDLECP        the binary to test (default: the release build of this repository)
#   BUNDLECP_CACHE, PYTHON: see ci/bundles.sh
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=onefile
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source=ci/bundles.sh
source "$repo/ci/bundles.sh"
# shellcheck source=ci/onefile-bundles.sh
source "$repo/ci/onefile-bundles.sh"

# ---- an eye on trees that owes nothing to bundlecp

cat >"$work/tree.py" <<'END'
import hashlib, json, os, stat, sys

def describe(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return ["symlink", os.readlink(path)]
    if stat.S_ISDIR(info.st_mode):
        return ["dir"]
    with open(path, "rb") as file:
        return ["file", bool(info.st_mode & 0o100), hashlib.sha256(file.read()).hexdigest()]

def scan(root):
    paths = [os.path.join(at, name) for at, dirs, files in os.walk(root) for name in dirs + files]
    return {os.path.relpath(path, root): describe(path) for path in paths}

def same(left, right):
    """Names, kinds, contents, targets, and who may run what."""
    left, right = scan(left), scan(right)
    kinds = [seen[0] for seen in right.values()]
    print(f"{kinds.count('file')} files, {kinds.count('symlink')} links")
    wrong = [] if kinds.count("symlink") >= 3 else ["there are fewer than three links"]
    return wrong + [f"{path}: {left.get(path)} and {right.get(path)}" for path in sorted({*left, *right})
                    if left.get(path) != right.get(path)]

def listed(root, lines):
    """The list has each file and link of the tree once, with size, target and mode."""
    want = {path: seen for path, seen in scan(root).items() if seen[0] != "dir"}
    with open(lines) as file:
        rows = [json.loads(line) for line in file]
    got = {row["path"]: row for row in rows}
    wrong = [f"{len(rows)} rows, {len(got)} paths, {len(want)} files"] * (len(rows) != len(want) or got.keys() != want.keys())
    for path, seen in want.items():
        row = got.get(path, {})
        mode = "0755" if seen[1] is True else "0644"
        if row.get("kind") != seen[0] or (seen[0] == "symlink" and row.get("target") != seen[1]):
            wrong.append(f"{path}: {row} is no {seen}")
        if seen[0] == "file" and (row.get("size") != os.path.getsize(os.path.join(root, path))
                                  or int(row["mode"], 8) != int(mode, 8)):
            wrong.append(f"{path}: {row} for {seen}")
    return wrong

def only_content_of(report, *paths):
    """No other difference was found than in the contents of these."""
    with open(report) as file:
        found = [(each["path"], each["kind"]) for each in json.load(file)["differences"]]
    return [each for each in found if each[0] not in paths or each[1] != "content"]

wrong = globals()[sys.argv[1]](*sys.argv[2:]) or []
sys.exit("\n".join(map(str, wrong[:15])) or 0)
END
tree() { "$python" "$work/tree.py" "$@"; }

# ---- the checks

# extracts ARCHIVE TREE [OPTION...]: what is extracted is TREE.
extracts() {
    rm -rf "$work/out"
    "$bundlecp" extract -q "$1" -C "$work/out" "${@:3}" && tree same "$2" "$work/out"
}

lists() { "$bundlecp" list --json "$1" >"$work/lines" && tree listed "$2" "$work/lines"; }

# converts FORMAT: and what the new archive holds is what the program unpacks.
converts() {
    "$bundlecp" convert -q -f "$entry/onefile" "$work/new.$1" && extracts "$work/new.$1" "$work/unpacked" &&
        "$bundlecp" verify "$entry/onefile" "$work/new.$1"
}

converts_reproducibly() {
    "$bundlecp" convert -q -f "$entry/onefile" "$work/one.$1" -j 1 &&
        "$bundlecp" convert -q -f "$entry/onefile" "$work/two.$1" -j 4 && cmp "$work/one.$1" "$work/two.$1"
}

# signed: other bytes behind the program, as a signature is on Windows.
signed() {
    { cat "$entry/onefile"; head -c 9000 /dev/urandom; } >"$work/signed" && extracts "$work/signed" "$work/unpacked"
}

# is_the_folder: every build makes a base_library.zip of its own, with its times in it.
is_the_folder() {
    local status=0
    "$bundlecp" verify --json "$entry/onefile" "$entry/folder/_internal" >"$work/report" || status=$?
    ((status < 2)) && tree only_content_of "$work/report" base_library.zip
}

# refuses TEXT COMMAND...: with status 4 and this text.
refuses() {
    local status=0
    "${@:2}" >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ "$status" -eq 4 ] && grep -qF "$1" "$work/said"
}

# shellcheck disable=SC2002 # a pipe is what is tried
lists_a_pipe() { cat "$entry/onefile" | "$bundlecp" list -; }

# unpacks PROGRAM FOLDER: the program itself copies away what it has unpacked.
unpacks() { env -i HOME="$work" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 timeout 60 "$1" "$2"; }

# becomes_a_folder: its loader, with a package of what it never unpacks, runs beside what was extracted, and says the same.
becomes_a_folder() {
    rm -rf "$work/made"
    mkdir "$work/made"
    BUNDLECP_ONEFILE=$entry/onefile BUNDLECP_PROGRAM=$work/made/program cargo test -q --manifest-path "$repo/Cargo.toml" \
        --lib format::carchive::tests::a_real_program -- --ignored &&
        chmod +x "$work/made/program" &&
        "$bundlecp" extract -q "$entry/onefile" -C "$work/made/_internal" &&
        wanted=$(run "$entry/onefile") && got=$(run "$work/made/program") && echo "$got" &&
        [[ $got == "script True 45 second True False" && $got == "$wanted" ]] &&
        unpacks "$work/made/program" "$work/of-folder" && tree same "$work/unpacked" "$work/of-folder" &&
        refuses "it is the program of a PyInstaller folder" "$bundlecp" list "$work/made/program"
}

stage="makes the programs"
{ install_for_bundles && find_or_make_bundles; } >"$work/log" 2>&1
stage="finds or builds bundlecp"
find_bundlecp
stage="runs the programs"
{ unpacks "$entry/onefile" "$work/unpacked" && unpacks "$entry/beside" "$work/unpacked-beside"; } >"$work/log" 2>&1

stage="checks"
check "what is extracted is what the program unpacks" extracts "$entry/onefile" "$work/unpacked"
check "on one thread too" extracts "$entry/onefile" "$work/unpacked" -j 1
check "the list has all of it" lists "$entry/onefile" "$work/unpacked"
check "bytes behind the program do no harm" signed
check "the program is what was extracted" "$bundlecp" verify "$entry/onefile" "$work/out"
check "the program is what it unpacks" "$bundlecp" verify "$entry/onefile" "$work/unpacked"
check "the program is the folder of the same script" is_the_folder
check "the program is whole" "$bundlecp" verify "$entry/onefile"
for format in tar tar.zst bcp zip; do
    check "converts to $format" converts "$format"
done
check "converts to the same bytes on any number of threads" converts_reproducibly tar.zst
check "a package beside its program is read" extracts "$entry/beside.pkg" "$work/unpacked-beside"
check "its program says where it is" refuses "with .pkg behind it" "$bundlecp" list "$entry/beside"
check "the program of a folder says that it is one" \
    refuses "the bundle is the folder that it stands in" "$bundlecp" extract "$entry/folder/folder" -C "$work/none"
check "a pipe is refused" refuses "save it to a file first" lists_a_pipe
check "the program becomes that of a folder, and runs" becomes_a_folder
stage=finished
