#!/usr/bin/env bash
# Proves on bundles that PyInstaller itself has built that bundlecp keeps every link and that the copies run.
#
# Needs Python 3 and, the first time, package registries; installs the rest by itself. Made for Debian 12.
#   BUNDLECP        the binary to test (default: the release build of this repository)
#   BUNDLECP_CACHE  keeps the built bundles between runs (default: ~/.cache/bundlecp)
#   PYTHON          the interpreter to bundle (default: python3)
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed`; exits 1 if any failed.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
cache=${BUNDLECP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bundlecp}/real-bundles
# Pinned, because the cache is keyed on this list: an unpinned name would mean another bundle on each machine.
packages=(pyinstaller==6.22.3 numpy==2.4.6 pillow==13.0.0 PySide6-Essentials==6.12.0)
bundles=(stdlib linked-data numpy-pillow qt)

work=$(mktemp -d)
partial=
stage=start
passed=0
failed=0

ok() { passed=$((passed + 1)); echo "ok - real-bundles: $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - real-bundles: $1"; tail -n 20 "$work/log" 2>/dev/null | sed 's/^/# /'; }

# The closing line must appear even when a step before the checks fails, so the trap prints it, and to the first
# standard output: a signal can come while a step's own output goes to the log.
exec 3>&1
finish() {
    trap - EXIT
    exec 1>&3
    if [ "$stage" != finished ]; then not_ok "$stage: stopped"; fi
    rm -rf "$work" ${partial:+"$partial"} || true
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
}
trap finish EXIT

# check NAME COMMAND...: commands run in an `if`, where errexit is off, so functions given here chain with &&.
check() { if "${@:2}" >"$work/log" 2>&1; then ok "$1"; else not_ok "$1"; fi; }

# ---- what the bundles are made of

mkdir -p "$work/src/data/v1" "$work/src/data/v2"
cat >"$work/src/stdlib.py" <<'END'
import hashlib, json, sqlite3, ssl, zlib

base = sqlite3.connect(":memory:")
base.execute("create table n (v integer)")
base.executemany("insert into n values (?)", [(v * v,) for v in range(10)])
total = base.execute("select sum(v) from n").fetchone()[0]
text = json.dumps({"total": total, "tls": ssl.HAS_TLSv1_3}, sort_keys=True).encode()
assert zlib.decompress(zlib.compress(text)) == text
print("stdlib", text.decode(), hashlib.sha256(text).hexdigest()[:16])
END
cat >"$work/src/linked-data.py" <<'END'
import pathlib

data = pathlib.Path(__file__).parent / "data"
print("linked-data", (data / "current" / "text").read_text().strip(), (data / "latest").read_text().strip())
END
cat >"$work/src/numpy-pillow.py" <<'END'
import hashlib, io
import numpy
from PIL import Image

matrix = numpy.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
inverse = numpy.linalg.inv(matrix)
assert numpy.allclose(matrix @ inverse, numpy.eye(3))
pixels = numpy.add.outer(numpy.arange(64), 3 * numpy.arange(96)).astype(numpy.uint8)
png = io.BytesIO()
Image.fromarray(pixels).save(png, "PNG")
back = numpy.asarray(Image.open(io.BytesIO(png.getvalue())))
assert (back == pixels).all()
print("numpy-pillow", back.shape, "%.6f" % inverse.trace(), hashlib.sha256(back.tobytes()).hexdigest()[:16])
END
cat >"$work/src/qt.py" <<'END'
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel

app = QApplication([])
label = QLabel("bundle")
label.setFixedSize(160, 48)
label.show()
image = label.grab().toImage()
QTimer.singleShot(0, app.quit)
print("qt", app.exec(), image.width(), image.height(), app.platformName())
END
# On Linux PyInstaller makes no link to a directory on its own; a SYMLINK entry is what it uses for macOS frameworks.
echo first >"$work/src/data/v1/text"
echo second >"$work/src/data/v2/text"
ln -s v2/text "$work/src/data/latest"
cat >"$work/src/linked-data.spec" <<'END'
code = Analysis(["linked-data.py"], datas=[("data", "data")])
program = EXE(PYZ(code.pure), code.scripts, exclude_binaries=True, name="linked-data")
COLLECT(program, code.binaries, code.datas, [("data/current", "v2", "SYMLINK")], name="linked-data")
END

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

# ---- setup, with everything costly kept in the cache

install_missing() {
    local needed=(binutils libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0) missing=() name root=
    command -v dpkg-query >/dev/null || return 0
    # Debian's own interpreter comes in parts: PyInstaller needs its shared library, `venv` its bundled pip.
    case $("$python" -c 'import sys; print(sys.base_prefix)') in
        /usr) needed+=(python3-venv "libpython$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')") ;;
    esac
    for name in "${needed[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "missing: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || root="sudo -n"
    $root apt-get update -q
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

# make_bundles FOLDER: the virtual environment and every bundle, in a folder that is renamed afterwards.
make_bundles() {
    local name recipe
    "$python" -m venv "$1/venv"
    "$1/venv/bin/python" -m pip install -q --disable-pip-version-check "${packages[@]}"
    for name in "${bundles[@]}"; do
        recipe=("$name.py" --onedir --specpath "$work/spec")
        [ ! -f "$work/src/$name.spec" ] || recipe=("$name.spec")
        (cd "$work/src" && PYINSTALLER_CONFIG_DIR=$work/pyinstaller "$1/venv/bin/python" -m PyInstaller \
            --log-level WARN --distpath "$1" --workpath "$work/build" "${recipe[@]}")
    done
}

# Sets $entry to the cache's folder for this recipe, made under another name: one that has the name is complete.
find_or_make_bundles() {
    local key
    key=$({
        "$python" -c 'import platform, sys; print(sys.version, sys.base_prefix, platform.machine())'
        declare -f make_bundles
        echo "${packages[@]}" "${bundles[@]}"
        find "$work/src" -type l -printf '%P %l\n'
        find "$work/src" -type f -print0 | sort -z | xargs -0 cat
    } | sha256sum)
    entry=$cache/${key:0:16}
    mkdir -p "$cache"
    if [ ! -d "$entry" ]; then
        partial=$(mktemp -d "$cache/partial-XXXXXX")
        make_bundles "$partial"
        # Where another run was faster, its result is as good.
        mv -T "$partial" "$entry" || [ -d "$entry" ]
    fi
    touch "$entry"
    find "$cache" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
}

# ---- the checks

run() { env -i HOME="$work" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 QT_QPA_PLATFORM=offscreen timeout 60 "$1"; }

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
install_missing >"$work/log" 2>&1
stage="builds the bundles"
find_or_make_bundles >"$work/log" 2>&1
stage="finds or builds bundlecp"
if [ -n "${BUNDLECP:-}" ]; then
    bundlecp=$(realpath "$BUNDLECP")
else
    cargo build --release --manifest-path "$repo/Cargo.toml" --bin bundlecp >"$work/log" 2>&1
    bundlecp=${CARGO_TARGET_DIR:-$repo/target}/release/bundlecp
fi
test -x "$bundlecp"
for name in "${bundles[@]}"; do
    stage="checks $name"
    check_bundle "$name"
done
stage=finished
