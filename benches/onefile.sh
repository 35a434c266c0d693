# shellcheck shell=bash
# Starts of self-extracting executables, for peers.sh, which sources this: the first and
# the later ones, of ours, PyInstaller's own and wrappe's, beside the folder itself.

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
    cd "$cache/O.part"
    for name in little sci; do
      venv/bin/pyinstaller --log-level ERROR "$name.py"
      venv/bin/pyinstaller --log-level ERROR --onefile --distpath onefile "$name.py"
    done
    rm -rf venv build
  )
  mv "$cache/O.part" "$cache/O"
}

# start NAME ROUNDS: every round starts each once; what has to be unpacked is gone before.
measure_starts() {
  local name=$1 rounds=$2 dir=$work/ext4/O round
  mkdir -p "$dir"
  cp -a "$cache/O/dist/$name" "$dir/$name"
  cp "$cache/O/onefile/$name" "$dir/$name.pyinstaller"
  "$BUNDLECP" onefile "$dir/$name" --entry "$name" -o "$dir/$name.run" --stub "$stub" -q
  "$BUNDLECP" onefile "$dir/$name" --entry "$name" -o "$dir/$name.fast.run" --stub "$stub" -q --profile fast
  "$cache/bin/wrappe" "$dir/$name" "$name" "$dir/$name.wrappe" --unpack-target temp --show-information none >/dev/null
  chmod +x "$dir/$name.wrappe"
  stat -c '%n %s' "$dir/$name".{run,fast.run,pyinstaller,wrappe} | sed "s|^.*/|onefile $name |" >>"$work/weights.txt"
  local tmp=$dir/tmp
  export BUNDLECP_CACHE_DIR=$tmp/cache TMPDIR=$tmp
  local empty="sh -c 'rm -rf $tmp && mkdir $tmp && chmod 700 $tmp && sync $tmp'"
  for ((round = 0; round <= rounds; round++)); do
    # The later starts follow the first ones of the same kind.
    hyperfine -N --style none --runs 1 --export-json "$work/ext4-$name-start-$round.json" \
      --prepare true --command-name folder "$dir/$name/$name" \
      --prepare "$empty" --command-name pyinstaller "$dir/$name.pyinstaller" \
      --prepare "$empty" --command-name wrappe "$dir/$name.wrappe" \
      --prepare true --command-name wrappe-warm "$dir/$name.wrappe" \
      --prepare "$empty" --command-name bundlecp "$dir/$name.run" \
      --prepare true --command-name bundlecp-warm "$dir/$name.run" \
      --prepare true --command-name folder-again "$dir/$name/$name" \
      --prepare "$empty" --command-name bundlecp-fast "$dir/$name.fast.run" \
      >/dev/null
  done
  unset BUNDLECP_CACHE_DIR TMPDIR
  rm -rf "$dir"
}

measure_onefile() {
  stub=$root/target/stub/bundlecp-stub
  cargo build --quiet --profile stub --bin bundlecp-stub --no-default-features --manifest-path "$root/Cargo.toml"
  [[ -x $cache/bin/wrappe ]] || cargo install --quiet --locked --root "$cache" wrappe
  make_onefile_inputs
  measure_starts little "$rounds"
  measure_starts sci "$rounds"
}
