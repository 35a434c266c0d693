#!/usr/bin/env bash
# Proves on bundles that PyInstaller itself has built that bundlecp keeps every link and that the copies run.
#
# Needs Python 3 and, the first time, package registries; installs the rest by itself. Made for Debian 12.
#   BUNDLECP        the binary to test (default: the release build of this repository)
#   BUNDLECP_CACHE, PYTHON: see ci/bundles.sh
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=real-bundles
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source=ci/bundles.sh
source "$repo/ci/bundles.sh"

# ---- an eye on trees that owes nothing to bundlecp

cat >"$work/tree.py" <<'END'
import hashlib, json, os, shutil, stat, sys

KINDS = {stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFREG: "file"}

def read(path):
    with open(path, "rb") as file:
        return file.read()

def describe(path):
    info = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(info.st_mode), "special")
    seen = [kind, oct(stat.S_IMODE(info.st_mode)), info.st_mtime_ns]
    if kind == "symlink":
        seen.append(os.readlink(path))
    return seen + [info.st_size, hashlib.sha256(read(path)).hexdigest()] if kind == "file" else seen

def scan(root):
    paths = [os.path.join(at, name) for at, dirs, files in os.walk(root) for name in dirs + files]
    return {os.path.relpath(path, root): describe(path) for path in [root, *paths]}

def links(root):
    return sorted(path for path, seen in scan(root).items() if seen[0] == "symlink")

def same(left, right, *extra):
    """Both trees are equal in every respect; `extra` names what must be in the right one besides."""
    left, right = scan(left), scan(right)
    wrong = [f"{path}: {left.get(path)} became {right.get(path)}" for path in sorted({*left, *right})
             if left.get(path) != right.get(path) and path not in extra]
    return wrong + [f"{path}: gone" for path in extra if path not in right]

def flattened(source, target):
    shutil.copytree(source, target, symlinks=False)

def stub(source, target):
    """What an unpacker without links leaves: text files that hold the targets. Folders keep their times."""
    shutil.copytree(source, target, symlinks=True)
    for path in links(target):
        at = os.path.join(target, path)
        text = os.readlink(at)
        os.unlink(at)
        with open(at, "w") as file:
            file.write(text)
        shutil.copystat(os.path.dirname(os.path.join(source, path)), os.path.dirname(at))

def damage(root, outside):
    """One link points astray, one is flattened, a file has become a link out of the tree, and a file is too many."""
    to_files = [path for path in (os.path.join(root, path) for path in links(root)) if os.path.isfile(path)]
    for path, target in zip(to_files, ["nowhere", None]):
        text = os.path.realpath(path)
        os.unlink(path)
        os.symlink(target, path) if target else shutil.copy(text, path)
    library = os.path.join(root, "_internal/base_library.zip")
    os.unlink(library)
    os.symlink(outside, library)
    shutil.copy(outside, os.path.join(root, "_internal/stray"))

def counted(root, report):
    """`copy --json` told the numbers that the tree has."""
    kinds = [seen[0] for seen in scan(root).values()]
    want = {"symlinks": kinds.count("symlink"), "files": kinds.count("file")}
    got = json.loads(read(report))
    return [f"{key}: {got.get(key)} instead of {value}" for key, value in want.items() if got.get(key) != value]

def told(kind, root, report):
    """`verify --json` named each link once as `kind`, and nothing else but what lies below a flattened directory."""
    want, got = links(root), json.loads(read(report))
    named = sorted(each["path"] for each in got["differences"] if each["kind"] == kind)
    rest = [each for each in got["differences"]
            if each["kind"] != kind and not any(each["path"].startswith(path + "/") for path in want)]
    wrong = [] if named == want else [f"{len(named)} times {kind} for {len(want)} links: {named}"]
    return wrong + [f"besides: {each}" for each in rest] + [f"equal: {got['equal']}"] * (got["equal"] != (not want))

wrong = globals()[sys.argv[1]](*sys.argv[2:]) or []
sys.exit("\n".join(wrong[:15]) or 0)
END
tree() { "$python" "$work/tree.py" "$@"; }

# ---- the checks

links_in() { find "$@" -type l | wc -l; }

# The functions from here on read the names that check_bundle has set: name, bundle, copy, line, links.

prints_a_line() { line=$(run "$bundle/$name") && echo "printed: $line" && [[ $line = "$name "* && $line != *$'\n'* ]]; }

prints_the_same() {
    local again
    again=$(run "$copy/$name") && echo "printed: $again" && [ -n "$line" ] && [ "$again" = "$line" ]
}

copies_and_counts() { "$bundlecp" -R --json "$bundle" "$work/into" >"$work/json" && tree counted "$bundle" "$work/json"; }

# verify_tells KIND: a bundle without links is left whole by what breaks links, so there it must find both equal.
verify_tells() {
    local status=0 want=$((links > 0))
    "$bundlecp" verify --json "$bundle" "$work/broken" >"$work/json" || status=$?
    echo "verify exited $status, expected $want" && [ "$status" -eq "$want" ] && tree told "$1" "$bundle" "$work/json"
}

# recopied OPTION EXTRA...: damages the copy, copies anew, and looks whether the damage's link led a write outside.
recopied() {
    echo untouched >"$work/outside" && tree damage "$copy" "$work/outside" &&
        "$bundlecp" -R "$1" -T "$bundle" "$copy" && tree same "$bundle" "$copy" "${@:2}" &&
        [ "$(cat "$work/outside")" = untouched ]
}

check_bundle() {
    local name=$1 bundle=$work/$1 copy=$work/copy kind line='' links
    # The cache must outlive a bundlecp that harms its source.
    cp -a "$entry/$name" "$bundle"
    links=$(links_in "$bundle")
    check "$name: the bundle runs" prints_a_line
    case $name in
        numpy-pillow | qt) check "$name: PyInstaller made links" test "$links" -gt 0 ;;
        linked-data) check "$name: PyInstaller made a link to a directory" test "$(links_in "$bundle" -xtype d)" -gt 0 ;;
    esac
    check "$name: copies" "$bundlecp" -R "$bundle" "$copy"
    check "$name: verify finds the copy equal" "$bundlecp" verify "$bundle" "$copy"
    check "$name: kinds, targets, modes, times, sizes and contents are the same" tree same "$bundle" "$copy"
    check "$name: as many links as before: $links" test "$(links_in "$copy" 2>/dev/null)" = "$links"
    check "$name: the copy runs" prints_the_same
    mkdir "$work/into"
    check "$name: --json counts files and links" copies_and_counts
    check "$name: a copy into a directory is the same" tree same "$bundle" "$work/into/$name"
    rm -rf "$work/into"
    for kind in flattened stub; do
        tree "$kind" "$bundle" "$work/broken"
        check "$name: verify tells \`$kind\` once for each of $links links" verify_tells "$kind"
        rm -rf "$work/broken"
    done
    check "$name: -f replaces a damaged copy" recopied -f
    check "$name: the replaced copy runs" prints_the_same
    check "$name: --merge mends a damaged copy and keeps what else is there" recopied --merge _internal/stray
    check "$name: the bundle is as it was" tree same "$entry/$name" "$bundle"
    rm -rf "$bundle"
    check "$name: the merged copy runs, with the bundle gone" prints_the_same
    rm -rf "$copy"
}

stage="installs what the bundles need"
install_for_bundles >"$work/log" 2>&1
stage="builds the bundles"
find_or_make_bundles >"$work/log" 2>&1
stage="finds or builds bundlecp"
find_bundlecp
for name in "${bundles[@]}"; do
    stage="checks $name"
    check_bundle "$name"
done
stage=finished
