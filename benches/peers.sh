#!/usr/bin/env bash
# Times bundlecp against its peers, and prints tables of medians and ratios:
# copies against cp, rsync, xcp, cpz and fcp; packing and extracting against
# GNU tar, bsdtar, zip, unzip, 7z, ripunzip and squashfs. Every round runs all
# commands once, one after the other, so that a machine whose speed drifts is
# fair to all of them.
#
#   benches/peers.sh [ROUNDS [copy|archives|bcp|stored|small|onefile]]
#
# Default 15 rounds of all; run it on a quiet machine, as root.
#
# Starts of executables are against PyInstaller's own onefile and wrappe.
#
# Inputs, made once and kept in the cache: a scientific PyInstaller bundle, one
# with Qt, a node_modules of over 20,000 files, a folder of 50,000 files, a file of 2 GiB.
# File systems: ext4 on a loop image, tmpfs, XFS with reflinks on a loop image.
set -euo pipefail

rounds=${1:-15}
part=${2:-all}
prepare='rm -rf D'
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${BUNDLECP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bundlecp}/peers
mkdir -p "$cache"
work=$(mktemp -d "${TMPDIR:-/tmp}/bundlecp-peers.XXXXXX")

cleanup() {
  local mount
  for mount in ext4 tmpfs xfs; do
    mountpoint -q "$work/$mount" && umount "$work/$mount"
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

install_tools() {
  local missing=() pair
  for pair in bsdtar:libarchive-tools zip:zip unzip:unzip 7z:p7zip-full zstd:zstd xz:xz-utils \
    mksquashfs:squashfs-tools time:time; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  command -v hyperfine >/dev/null || missing+=(hyperfine)
  command -v rsync >/dev/null || missing+=(rsync)
  command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
  command -v mkfs.xfs >/dev/null || missing+=(xfsprogs)
  if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "${missing[@]}" >/dev/null
  fi
  local crate
  for crate in xcp cpz fcp ripunzip; do
    [[ $part == onefile || -x $cache/bin/$crate ]] || cargo install --quiet --locked --root "$cache" "$crate"
  done
  if [[ -z ${BUNDLECP:-} ]]; then
    cargo build --quiet --release --manifest-path "$root/Cargo.toml"
    BUNDLECP=$root/target/release/bundlecp
  fi
}

# Each input is made under another name and renamed, so that half of one is
# never used.
make_inputs() {
  if [[ ! -d $cache/S ]]; then
    rm -rf "$cache/S.part" && mkdir "$cache/S.part"
    python3 -m venv "$cache/S.part/venv"
    "$cache/S.part/venv/bin/pip" install --quiet pyinstaller numpy scipy pandas matplotlib pillow
    cat >"$cache/S.part/sci.py" <<'PY'
import numpy, pandas, PIL.Image, scipy.linalg, scipy.stats
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot
print(pandas.DataFrame(numpy.linalg.inv(numpy.eye(3))).sum().sum())
PY
    (cd "$cache/S.part" && venv/bin/pyinstaller --log-level ERROR sci.py)
    mv "$cache/S.part/dist/sci" "$cache/S"
    rm -rf "$cache/S.part"
  fi
  if [[ ! -d $cache/Q ]]; then
    rm -rf "$cache/Q.part" && mkdir "$cache/Q.part"
    python3 -m venv "$cache/Q.part/venv"
    "$cache/Q.part/venv/bin/pip" install --quiet pyinstaller PySide6-Essentials
    cat >"$cache/Q.part/qt.py" <<'PY'
from PySide6.QtNetwork import QNetworkAccessManager
from PySide6.QtQml import QQmlEngine
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication([])
QLabel("bundle").show()
PY
    (cd "$cache/Q.part" && venv/bin/pyinstaller --log-level ERROR qt.py)
    mv "$cache/Q.part/dist/qt" "$cache/Q"
    rm -rf "$cache/Q.part"
  fi
  if [[ ! -d $cache/N ]]; then
    rm -rf "$cache/N.part" && mkdir "$cache/N.part"
    (cd "$cache/N.part" && npm init -y >/dev/null &&
      npm install --silent --ignore-scripts --no-audit --no-fund \
        next@15 webpack@5 typescript@5 eslint@9 jest@29 vite@7 antd@5 >/dev/null)
    mv "$cache/N.part/node_modules" "$cache/N"
    rm -rf "$cache/N.part"
  fi
  if [[ ! -d $cache/F ]]; then
    python3 - "$cache/F.part" <<'PY'
import os, sys
os.mkdir(sys.argv[1])
for n in range(50_000):
    with open(f"{sys.argv[1]}/file-{n:05}", "wb") as file:
        file.write(b"%d\n" % n * 100)
PY
    mv "$cache/F.part" "$cache/F"
  fi
}

mount_all() {
  mkdir "$work"/{ext4,tmpfs,xfs}
  truncate -s 16G "$work/ext4.img" && mkfs.ext4 -q -F "$work/ext4.img"
  mount -o loop "$work/ext4.img" "$work/ext4"
  mount -t tmpfs -o size=10g tmpfs "$work/tmpfs"
  truncate -s 8G "$work/xfs.img" && mkfs.xfs -q -m reflink=1 "$work/xfs.img"
  mount -o loop "$work/xfs.img" "$work/xfs"
}

# measure FILESYSTEM INPUT ROUNDS NAME=COMMAND...
measure() {
  local filesystem=$1 input=$2 rounds=$3 dir=$work/$1 round
  shift 3
  # The first commits of a new image are slower than all later ones.
  sync "$dir" && sleep 1
  cd "$dir"
  for ((round = ${first:-0}; round <= rounds; round++)); do
    local arguments=() pair
    for pair in "$@"; do
      arguments+=(--command-name "${pair%%=*}" "${pair#*=}")
    done
    hyperfine -N --style none --runs 1 --prepare "sh -c '$prepare'" \
      --export-json "$work/$filesystem-$input-$round.json" "${arguments[@]}" >/dev/null 2>&1
  done
  rm -rf D
  cd "$root"
}

measure_copies() {
  local cp="cp=cp -a SRC D" rsync="rsync=rsync -a SRC/ D" xcp="xcp=$cache/bin/xcp -r SRC D"
  local cpz="cpz=$cache/bin/cpz SRC D" fcp="fcp=$cache/bin/fcp SRC D"
  local ours="bundlecp=$BUNDLECP -R SRC D"
  local filesystem input all
  for filesystem in ext4 tmpfs xfs; do
    for input in S N; do
      cp -a "$cache/$input" "$work/$filesystem/$input"
      all=("${cp//SRC/$input}" "${xcp//SRC/$input}" "${cpz//SRC/$input}" "${fcp//SRC/$input}")
      [[ $filesystem == xfs ]] || all+=("${rsync//SRC/$input}")
      measure "$filesystem" "$input" "$rounds" "${all[@]}" "${ours//SRC/$input}"
    done
  done
  cp -a "$cache/F" "$work/ext4/F"
  measure ext4 F "$rounds" "${cp//SRC/F}" "${xcp//SRC/F}" "${cpz//SRC/F}" "${ours//SRC/F}"
  rm -rf "$work"/{ext4,tmpfs,xfs}/{S,N,F}
  head -c 2G /dev/urandom >"$work/ext4/G"
  sync "$work/ext4"
  measure ext4 G 5 "${cp//SRC/G}" "${xcp//SRC/G}" "${cpz//SRC/G}" "${ours//SRC/G}"
  rm -f "$work/ext4/G"
}

# The archives that are extracted: ours, and those of others.
make_archives() {
  local dir=$1 input=$2
  (
    cd "$cache"
    "$BUNDLECP" pack "$input" -o "$dir/ours.tar.zst"
    "$BUNDLECP" pack "$input" -o "$dir/ours.bcp"
    "$BUNDLECP" pack "$input" --profile fast -o "$dir/fast.bcp"
    mksquashfs "$input" "$dir/sq" -comp zstd -no-progress -quiet >/dev/null
    [[ $part == bcp ]] && exit
    "$BUNDLECP" pack "$input" -o "$dir/ours.tar.gz"
    "$BUNDLECP" pack "$input" --level 1 -o "$dir/ours.tar.xz"
    "$BUNDLECP" pack "$input" -o "$dir/ours.zip"
    tar -I 'zstd -3' -cf "$dir/single.tar.zst" "$input"
    mksquashfs "$input" "$dir/sq.zst" -comp zstd -Xcompression-level 3 -no-progress -quiet >/dev/null
  )
}

# Extractions have a folder to go into, made anew for each.
measure_extractions() {
  local filesystem=$1 input=$2 x="bundlecp=$BUNDLECP extract" flag=--allow-external-links
  measure "$filesystem" "$input-tar.zst" "$rounds" "$x $flag ours.tar.zst -C D" \
    'bsdtar=bsdtar -xf ours.tar.zst -C D' "tar=tar -I zstd -xf ours.tar.zst -C D" \
    'unsquashfs=unsquashfs -quiet -no-progress -f -d D sq.zst'
  measure "$filesystem" "$input-foreign.tar.zst" "$rounds" "$x $flag single.tar.zst -C D" \
    'bsdtar=bsdtar -xf single.tar.zst -C D'
  measure "$filesystem" "$input-tar.gz" "$rounds" "$x $flag ours.tar.gz -C D" \
    'tar=tar -xzf ours.tar.gz -C D'
  measure "$filesystem" "$input-tar.xz" "$few" "$x $flag ours.tar.xz -C D" \
    'tar=tar -xJf ours.tar.xz -C D'
  measure "$filesystem" "$input-zip" "$rounds" "$x $flag ours.zip -C D" \
    "ripunzip=$cache/bin/ripunzip unzip-file -q -d D ours.zip" 'unzip=unzip -qq ours.zip -d D'
  measure "$filesystem" "$input-list.tar.zst" "$rounds" "bundlecp=$BUNDLECP list ours.tar.zst"
  measure "$filesystem" "$input-list.zip" "$rounds" "bundlecp=$BUNDLECP list ours.zip"
}

# A .bcp, made and read as others make and read what is as small.
measure_bcp() {
  local filesystem=$1 input=$2 p="bundlecp=$BUNDLECP pack $2" name member
  local x="bundlecp=$BUNDLECP extract --allow-external-links"
  # Beside them the least that it could take: the copy of the tree alone, and all
  # blocks decoded and hashed alone.
  for name in bcp fast.bcp; do
    measure "$filesystem" "$input-$name" "$rounds" "$x ${name/#bcp/ours.bcp} -C D" \
      'bsdtar=bsdtar -xf ours.tar.zst -C D' 'unsquashfs=unsquashfs -quiet -no-progress -f -d D sq' \
      "copy=$BUNDLECP -R $input D/c" "verify=$BUNDLECP verify -q ${name/#bcp/ours.bcp}"
  done
  measure "$filesystem" "$input-list.bcp" "$rounds" "bundlecp=$BUNDLECP list ours.bcp"
  member=$("$BUNDLECP" list "$work/$filesystem/ours.bcp" | awk '/[.][a-z]+$/ && ++count == 300 {found = $0} END {print found}')
  measure "$filesystem" "$input-member.bcp" "$rounds" "bundlecp=$BUNDLECP extract ours.bcp -C D $member"
  measure "$filesystem" "$input-pack.bcp" "$few" "$p -o D/o.bcp" \
    "mksquashfs=mksquashfs $input D/q -comp zstd -no-progress -quiet" \
    "tar=tar -I 'zstd -12 --long=27 -T0' -cf D/l.tar.zst $input"
  measure "$filesystem" "$input-pack.fast.bcp" "$rounds" "$p --profile fast -o D/f.bcp" \
    "tar=tar -I 'zstd -3 -T0' -cf D/t.tar.zst $input"
}

measure_packing() {
  local filesystem=$1 input=$2 p="bundlecp=$BUNDLECP pack $2"
  measure "$filesystem" "$input-pack.tar.zst" "$rounds" "$p -o D/o.tar.zst" \
    "bsdtar=bsdtar --zstd --options zstd:compression-level=3,zstd:threads=2 -cf D/b.tar.zst $input" \
    "tar=tar -I 'zstd -3 -T0' -cf D/t.tar.zst $input"
  measure "$filesystem" "$input-pack.zip" "$few" "$p -o D/o.zip" "zip=zip -qry D/z.zip $input"
}

# Stored archives, where extraction shares their storage: against the copy that shares
# the tree's.
measure_stored() {
  local input dir=$work/xfs x="bundlecp=$BUNDLECP extract --allow-external-links"
  for input in S N; do
    cp -a "$cache/$input" "$dir/$input"
    (cd "$dir" && "$BUNDLECP" pack "$input" --profile stored -o stored.bcp)
    measure xfs "$input-stored.bcp" "$rounds" "$x stored.bcp -C D" "copy=$BUNDLECP -R $input D/c"
    rm -rf "${dir:?}"/{"$input",stored.bcp}
  done
}

# What takes as long as it takes: against 7z at its highest level.
measure_small() {
  local input dir=$work/tmpfs few=$((rounds < 3 ? rounds : 3))
  local x="bundlecp=$BUNDLECP extract --allow-external-links"
  for input in S Q; do
    local weighed="/usr/bin/time -a -o $work/weights.txt -f 'memory $input"
    cp -a "$cache/$input" "$dir/$input"
    # Once, without a round to warm up: minutes are not disturbed by that.
    first=1 prepare=true measure tmpfs "$input-pack.small.bcp" 1 \
      "bundlecp=$weighed pack small.bcp %M' $BUNDLECP pack $input --profile small -o small.bcp" \
      "7z=7z a -mx9 -snl -bd small.7z $input"
    (cd "$dir" && stat -c '%n %s' small.*) | sed "s|^|size $input |" >>"$work/weights.txt"
    measure tmpfs "$input-small.bcp" "$few" "$x small.bcp -C D" '7z=7z x -snl -bd -oD small.7z'
    first=1 measure tmpfs "$input-memory" 1 \
      "bundlecp=$weighed extract small.bcp %M' ${x#*=} small.bcp -C D"
    rm -rf "$work/tmpfs-$input-memory-1.json" "${dir:?}"/{"$input",small.*}
  done
}

# Sizes and peak memory, which no clock disturbs.
weigh_bcp() {
  local dir=$work/tmpfs input=$1
  mkdir -p "$dir/D" && cd "$dir"
  command time -f "memory $input pack bcp %M" -a -o "$work/weights.txt" "$BUNDLECP" pack "$input" -o D/o.bcp
  "$BUNDLECP" pack "$input" --profile fast -o D/f.bcp
  mksquashfs "$input" D/q.squashfs -comp zstd -no-progress -quiet >/dev/null
  tar -I 'zstd -12 --long=27 -T0' -cf D/l.tar.zst "$input"
  [[ $part != bcp ]] || tar -I 'zstd -3 -T0' -cf D/t.tar.zst "$input"
  stat -c '%n %s' D/* | sed "s|^D/|size $input |" >>"$work/weights.txt"
  command time -f "memory $input extract ours.bcp %M" -a -o "$work/weights.txt" \
    "$BUNDLECP" extract --allow-external-links ours.bcp -C D/out
  rm -rf D
  cd "$root"
}

weigh() {
  local dir=$work/tmpfs input=$1
  mkdir -p "$dir/D" && cd "$dir"
  "$BUNDLECP" pack "$input" -o D/o.tar.zst
  tar -I 'zstd -3 -T0' -cf D/t.tar.zst "$input"
  "$BUNDLECP" pack "$input" -o D/o.zip
  zip -qry D/z.zip "$input"
  stat -c '%n %s' D/* | sed "s|^D/|size $input |" >>"$work/weights.txt"
  local name
  for name in 'pack tar.zst' 'pack zip' 'pack tar.xz --level 9'; do
    read -r _ format level <<<"$name"
    # shellcheck disable=SC2086
    command time -f "memory $input $name %M" -a -o "$work/weights.txt" \
      "$BUNDLECP" pack "${2:-$input}" $level -o "D/m.$format"
    rm -rf D/m.*
  done
  for name in ours.tar.zst single.tar.zst ours.tar.gz ours.tar.xz ours.zip; do
    command time -f "memory $input extract $name %M" -a -o "$work/weights.txt" \
      "$BUNDLECP" extract --allow-external-links "$name" -C "D/$name.d"
  done
  rm -rf D
  cd "$root"
}

measure_archives() {
  local filesystem input
  few=$((rounds < 5 ? rounds : 5))
  prepare='rm -rf D && mkdir D'
  for input in S N; do
    for filesystem in ext4 tmpfs; do
      cp -a "$cache/$input" "$work/$filesystem/$input"
      make_archives "$work/$filesystem" "$input"
      measure_bcp "$filesystem" "$input"
      [[ $filesystem == ext4 ]] || weigh_bcp "$input"
      if [[ $part != bcp ]]; then
        measure_extractions "$filesystem" "$input"
        measure_packing "$filesystem" "$input"
        [[ $filesystem == ext4 ]] || weigh "$input"
      fi
      rm -rf "$work/$filesystem"/{S,N,ours.*,fast.bcp,single.*,sq,sq.zst}
    done
  done
}

# shellcheck source=benches/onefile.sh
source "$root/benches/onefile.sh"

main() {
  install_tools
  [[ $part == onefile ]] || make_inputs
  mount_all
  : >"$work/weights.txt"
  [[ $part == all || $part == copy ]] && measure_copies
  [[ $part == all || $part == archives || $part == bcp ]] && measure_archives
  prepare='rm -rf D && mkdir D'
  [[ $part == all || $part == bcp || $part == stored ]] && measure_stored
  [[ $part == all || $part == small ]] && measure_small
  [[ $part == all || $part == onefile ]] && measure_onefile
  python3 "$root/benches/peers.py" "$work" "$cache"
}

main
