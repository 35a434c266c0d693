# shellcheck shell=bash
# Starts of self-extracting executables, for peers.sh, which sources this: the first and
# the later ones, of ours, PyInstaller's own and wrappe's, beside the folder itself.
# shellcheck disable=SC2154 # set by peers.sh

# The same two programs as a folder and as PyInstaller's onefile.
make_onefile_inputs() {
  [[ -d $cache/O ]] && return
  rm -rf "$cache/O.part" && mkdir "$cache/O.part"
  python3 -m venv "$cache/O.part/venv"
  "$cache/O.part/venv/bin/pip" install --quiet pyinstaller numpy scipy pandas matplotlib pillow
  cat >"$cache/O.part/little.py" <<'PY'
import hashlib, json, sqlite3, ssl, zlib
print(json.dumps({"tls": ssl.HAS_TLSv1_3, "sum": hashlib.sha256(zlib.compress(b"x")).hexdigest()}))
PY
  cat >"$cache/O.part/sci.py" <<'PY'
import numpy, pandas, PIL.Image, scipy.linalg, scipy.stats
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot
print(pandas.DataFrame(numpy.linalg.inv(numpy.eye(3))).sum().sum())
PY
  (
    cd "$cache/O.part" || exit
    for name in little sci; do
      venv/bin/pyinstaller --log-level ERROR "$name.py"
      venv/bin/pyinstaller --log-level ERROR --onefile --distpath onefile "$name.py"
    done
    rm -rf venv build
  )
  mv "$cache/O.part" "$cache/O"
}

# executables FOLDER ENTRY: ours and wrappe's, beside the folder.
executables() {
  "$BUNDLECP" onefile "$1" --entry "$2" -o "$1.run" --stub "$stub" -q -f
  "$cache/bin/wrappe" "$1" "$2" "$1.wrappe" --unpack-target temp --show-information none >/dev/null
  chmod +x "$1.wrappe"
}

# measure_starts NAME ROUNDS: every round starts each once; what has to be unpacked is gone before.
measure_starts() {
  local name=$1 rounds=$2 dir=$work/ext4/O tmp=$work/ext4/O/tmp round
  mkdir -p "$dir"
  cp -a "$cache/O/dist/$name" "$dir/$name"
  cp "$cache/O/onefile/$name" "$dir/$name.pyinstaller"
  executables "$dir/$name" "$name"
  (cd "$dir" && stat -c "$name %n %s" "$name".{run,pyinstaller,wrappe}) >>"$work/starts/sizes.txt"
  export BUNDLECP_CACHE_DIR=$tmp/cache TMPDIR=$tmp
  local empty="sh -c 'rm -rf $tmp && mkdir $tmp && chmod 700 $tmp && sync -f $tmp'"
  for ((round = 0; round <= rounds; round++)); do
    hyperfine -N --style none --runs 1 --export-json "$work/starts/first-$name-$round.json" \
      --prepare true --command-name folder "$dir/$name/$name" \
      --prepare "$empty" --command-name PyInstaller "$dir/$name.pyinstaller" \
      --prepare "$empty" --command-name wrappe "$dir/$name.wrappe" \
      --prepare "$empty" --command-name bundlecp "$dir/$name.run" \
      --prepare true --command-name folder-again "$dir/$name/$name" >/dev/null
  done
  # Later starts take so little that the program itself must take nothing.
  cp /bin/true "$dir/$name/nothing"
  executables "$dir/$name" nothing
  "$dir/$name.run" && "$dir/$name.wrappe"
  hyperfine -N --style none --warmup 20 --runs 300 --export-json "$work/starts/later-$name-1.json" \
    --command-name folder "$dir/$name/nothing" --command-name wrappe "$dir/$name.wrappe" \
    --command-name bundlecp "$dir/$name.run" >/dev/null
  unset BUNDLECP_CACHE_DIR TMPDIR
  rm -rf "$dir"
}

measure_onefile() {
  stub=$root/target/stub/bundlecp-stub
  cargo build --quiet --profile stub --bin bundlecp-stub --no-default-features --manifest-path "$root/Cargo.toml"
  [[ -x $cache/bin/wrappe ]] || cargo install --quiet --locked --root "$cache" wrappe
  make_onefile_inputs
  mkdir -p "$work/starts"
  measure_starts little "$rounds"
  measure_starts sci "$rounds"
}
