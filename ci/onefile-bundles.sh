# shellcheck shell=bash
# The programs of ci/onefile.sh, for the scripts that source this after ci/bundles.sh, which sets $work and the rest.
#
# After `find_or_make_bundles`, $entry has `onefile`, `folder`, `beside` and `beside.pkg`. They stop at the first failure.
# shellcheck disable=SC2034,SC2154,SC2164

# The same script as one file, as a folder, and as a program with its package beside it.
packages=("${packages[@]:0:2}")
bundles=(onefile folder beside)
rm -f "$work"/src/*.{py,spec}
cat >"$work/src/script.py" <<'END'
import os, pathlib, shutil, ssl, sys
import numpy

if len(sys.argv) > 1:
    shutil.copytree(sys._MEIPASS, sys.argv[1], symlinks=True)
data = pathlib.Path(__file__).parent / "data"
print("script", ssl.HAS_TLSv1_3, int(numpy.arange(10).sum()), (data / "latest").read_text().strip(),
      os.access(data / "tool", os.X_OK), os.access(data / "latest", os.X_OK))
END
printf '#!/bin/sh\nexit 0\n' >"$work/src/data/tool"
chmod 755 "$work/src/data/tool"
: >"$work/src/data/empty"
cat >"$work/src/beside.spec" <<'END'
code = Analysis(["script.py"], datas=[("data", "data")])
EXE(PYZ(code.pure), code.scripts, code.binaries, code.datas, name="beside", append_pkg=False)
END

# make_bundles FOLDER: as in ci/bundles.sh.
make_bundles() {
    local recipe=(script.py --add-data "$work/src/data:data" --specpath "$work/spec")
    "$python" -m venv "$1/venv"
    "$1/venv/bin/python" -m pip install -q --disable-pip-version-check "${packages[@]}"
    cd "$work/src"
    make_one "$1" "${recipe[@]}" --onefile --name onefile
    make_one "$1" "${recipe[@]}" --onedir --name folder
    make_one "$1" beside.spec
    cd "$work"
}

make_one() {
    PYINSTALLER_CONFIG_DIR=$work/pyinstaller "$1/venv/bin/python" -m PyInstaller --log-level WARN \
        --distpath "$1" --workpath "$work/build" "${@:2}"
}
