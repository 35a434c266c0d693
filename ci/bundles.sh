# shellcheck shell=bash
# Bundles that PyInstaller itself has built, for the scripts that source this, behind ci/checks.sh.
#
# Needs Python 3 and, the first time, package registries. Made for Debian 12.
#   BUNDLECP_CACHE  keeps the built bundles between runs (default: ~/.cache/bundlecp)
#   PYTHON          the interpreter to bundle (default: python3)
# After `install_for_bundles` and `find_or_make_bundles`, $entry is the folder that has each of ${bundles[@]}; the caller
# removes $partial, if that is set, when it is interrupted.
# shellcheck disable=SC2154 # $work, from ci/checks.sh

python=${PYTHON:-python3}
cache=${BUNDLECP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bundlecp}/real-bundles
# Pinned, because the cache is keyed on this list: an unpinned name would mean another bundle on each machine.
packages=(pyinstaller==6.22.3 numpy==2.4.6 pillow==13.0.0 PySide6-Essentials==6.12.0)
bundles=(stdlib linked-data numpy-pillow qt)
partial=

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

# ---- setup, with everything costly kept in the cache

install_for_bundles() {
    local needed=(binutils libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0)
    # Debian's own interpreter comes in parts: PyInstaller needs its shared library, `venv` its bundled pip.
    case $("$python" -c 'import sys; print(sys.base_prefix)') in
        /usr) needed+=(python3-venv "libpython$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')") ;;
    esac
    install_packages "${needed[@]}"
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

# run PROGRAM: as a user would, with nothing of this environment.
run() { env -i HOME="$work" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 QT_QPA_PLATFORM=offscreen timeout 60 "$1"; }
