#!/usr/bin/env bash
# Proves that other programs extract what bundlecp packs, and bundlecp what they pack, with nothing lost that both know.
#
# Usage: ci/interop.sh [PATTERN]    only the checks whose names match the shell pattern
#   BUNDLECP=PATH                   the binary to prove; by default the release build of this tree
#   BUNDLECP_CACHE, PYTHON          see ci/bundles.sh
#
# The trees are bundles of PyInstaller and two made by ci/interop/tree.py. What comes out is compared with them by
# `bundlecp verify`; what a format or a peer can't hold is excused by the table below, row by row, and a row that no
# check needs is a failure. Made for Debian 12 as root.
# Prints `ok - interop: …` or `not ok - interop: …` for each check, and last `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=interop
only=${1:-*}
work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/bundlecp-interop.XXXXXX")")
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source=ci/bundles.sh
source "$repo/ci/bundles.sh"
readonly repo only work
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

# ---- what may differ, and why

cat >"$work/exceptions" <<'END'
# check | what may differ | why
ours: *, tarfile_* | mtime<0.000001 | Python keeps times as floating-point numbers
ours: *, tarfile_* | linktime | tarfile sets no times of links
ours: zip, *, unzip | linktime | unzip sets no times of links
ours: *, plain, 7z | mode:locked | 7-Zip gives every folder the owner's right to write
ours: *, odd, 7z | mode:modes/dir0 | 7-Zip gives every folder all of its owner's rights
ours: *, odd, 7z | mode:modes/dir555 | 7-Zip gives every folder the owner's right to write
ours: *tar*, odd, 7z | missing:holes/* | 7-Zip knows no sparse files of the format pax
ours: *tar*, odd, 7z | xattr | 7-Zip knows no attributes
ours: *tar*, odd, 7z | mtime<1:attributes/file | 7-Zip leaves out an extended header with an attribute of any bytes
ours: zip, odd, unzip | mtime:before 1970 | unzip knows no time before 1980
ours: zip, odd, bsdtar | mtime:before 1970 | libarchive takes the seconds of zips for unsigned
ours: zip, odd, 7z | mtime:before 1970 | 7-Zip takes the seconds of zips for unsigned
ours: zip, odd, unzip | missing:names/* | unzip leaves control characters out of names
ours: zip, odd, unzip | extra:names/* | unzip leaves control characters out of names
ours: zip, odd, bsdtar | missing:names/* composed | libarchive composes accents in names of UTF-8
ours: zip, odd, bsdtar | extra:names/* composed | libarchive composes accents in names of UTF-8
ours: *, odd, tarfile_* | xattr | tarfile knows no attributes
ours: *, odd, bsdtar | mtime<2.1:before 1970 | libarchive takes the fraction of a negative time for positive
ours: zip, * | mtime<1 | the times of a zip that all readers know are whole seconds
ours: zip, odd, * | hardlink | zips have no hard links
ours: zip, odd, * | xattr | zips have no attributes
theirs: GNU tar, gnu* | mtime<1 | this format has whole seconds
theirs: GNU tar, ustar* | mtime<1 | this format has whole seconds
theirs: GNU tar, v7* | mtime<1 | this format has whole seconds
theirs: bsdtar, gnutar* | mtime<1 | this format has whole seconds
theirs: bsdtar, ustar* | mtime<1 | this format has whole seconds
theirs: bsdtar, v7* | mtime<1 | this format has whole seconds
theirs: bsdtar, pax, odd* | mtime<2.1:before 1970 | libarchive writes the fraction of a negative time as positive
theirs: bsdtar, gnutar, odd* | mtime:before 1970 | libarchive writes no negative time into this format
theirs: 7-Zip, *, odd* | xattr | 7-Zip knows no attributes
theirs: 7-Zip, *, odd* | hardlink | 7-Zip packs each name of a file as a file
theirs: 7-Zip, *, odd* | missing:links/longer | 7-Zip packs no link with a target of more than 1 KiB
theirs: tarfile, PAX* | mtime<0.000001 | Python keeps times as floating-point numbers
theirs: tarfile, GNU* | mtime<1 | this format has whole seconds
theirs: tarfile, USTAR* | mtime<1 | this format has whole seconds
theirs: 7-Zip, tar* | mtime<1 | 7-Zip writes whole seconds
theirs: 7-Zip, zip* | mtime<0.000001 | zips have the times of NTFS, in 100 ns
theirs: zip -ry* | mtime<1 | zip writes whole seconds
theirs: bsdtar, zip* | mtime<1 | libarchive writes whole seconds
theirs: GNU tar, gnu*, odd* | xattr | this format has no attributes
theirs: bsdtar, gnutar, odd* | xattr | this format has no attributes
theirs: tarfile, *, odd* | xattr | tarfile knows no attributes
theirs: zip -ry, odd* | xattr | zips have no attributes
theirs: zip -ry, odd* | hardlink | zips have no hard links
theirs: bsdtar, zip, odd* | xattr | zips have no attributes
theirs: bsdtar, zip, odd* | hardlink | zips have no hard links
END

# ---- checks

clean_up() { chmod -R u+rwX "$work"; }
trap 'exit 130' INT
trap 'exit 143' TERM

# comes_back NAME TREE COMMAND...: the command extracts into $work/out, and what is there then is TREE.
comes_back() {
  local name=$1 tree=$2
  rm -rf "$work/out"
  mkdir "$work/out"
  "${@:3}" && same "$name" "$tree" "$work/out/${tree##*/}"
}

# same NAME TREE FOUND: equal but for what the table excuses.
same() {
  local status=0
  "$bundlecp" verify --json "$2" "$3" >"$work/report" || status=$?
  ((status < 2)) && "$python" "$repo/ci/interop/judge.py" "$1" "$2" "$work/exceptions" "$work/used" <"$work/report"
}

# prints_the_same TREE: the extracted program says what the bundle's says.
prints_the_same() {
  local name=${1##*/} line again
  line=$(run "$1/$name") && again=$(run "$work/out/$name/$name") && echo "printed: $again" &&
    [[ $line == "$name "* && $again == "$line" ]]
}

# ---- peers that extract: archive, folder

plain_tar() {
  case $1 in
    *.gz) gzip -dc "$1" ;;
    *.bz2) bzip2 -dc "$1" ;;
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -qdc "$1" ;;
    *) cat "$1" ;;
  esac
}

by_tar() { tar --xattrs -xpf "$1" -C "$2"; }
by_bsdtar() { bsdtar -xpf "$1" -C "$2"; }
# Nobody else reads a .bcp.
by_bundlecp() { "$bundlecp" extract -q --allow-external-links "$1" -C "$2"; }
by_bundlecp_from_a_pipe() { "$bundlecp" extract -q --allow-external-links - -C "$2" <"$1"; }
by_unzip() { unzip -q "$1" -d "$2"; }

# Its Python knows no zstd, so that comes through a pipe.
by_tarfile() {
  case $1 in
    *.zst) zstd -qdc "$1" | "$python" "$repo/ci/interop/peer.py" extract "$3" - "$2" ;;
    *) "$python" "$repo/ci/interop/peer.py" extract "$3" "$1" "$2" ;;
  esac
}
by_tarfile_trusting() { by_tarfile "$1" "$2" fully_trusted; }
by_tarfile_careful() { by_tarfile "$1" "$2" tar; }

# It knows zstd in no version of Debian's. From 25.01 on it takes `../lib` for an attack unless told that it is none.
links=(-snl)
by_7z() {
  case $1 in
    *.zst) zstd -qdc "$1" | 7z x -bso0 -bd "${links[@]}" -si -ttar "-o$2" ;;
    *.tar.*) 7z x -bd -bso0 -so "$1" | 7z x -bso0 -bd "${links[@]}" -si -ttar "-o$2" ;;
    *) 7z x -bso0 -bd "${links[@]}" "-o$2" "$1" ;;
  esac
}

tests() {
  case $1 in
    *.gz) gzip -t "$1" ;;
    *.bz2) bzip2 -t "$1" ;;
    *.xz) xz -t "$1" ;;
    *.zst) zstd -qt "$1" ;;
    *.zip) unzip -qt "$1" && 7z t -bd "$1" ;;
    *.bcp) "$bundlecp" verify "$1" "$1" ;;
    *) 7z t -bd "$1" ;;
  esac
}

# ---- peers that pack: a new archive of the tree $1 at $2

in_parent() { (cd "${1%/*}" && "${@:2}"); }
tar_with() { in_parent "$1" tar -cf "$2" --sort=name "${@:3}" -- "${1##*/}"; }
bsdtar_with() { in_parent "$1" bsdtar -cf "$2" "${@:3}" -- "${1##*/}"; }
tarfile_with() { "$python" "$repo/ci/interop/peer.py" create "$3" "$2" "$1"; }
zip_with() { in_parent "$1" zip -qry "${@:3}" "$2" "${1##*/}"; }
# It ends with 1 where it left something out, and says what: the comparison finds it.
sevenzip_with() { in_parent "$1" 7z a -bso0 -bd -snl "${@:3}" "$2" "${1##*/}" || (($? == 1)); }

# pieces ARCHIVE COMMAND...: compresses the tar in three parts, one behind another.
pieces() {
  local part
  split -n 3 "$1" "$work/part-"
  for part in "$work"/part-??; do "${@:2}" <"$part"; done
  rm -f "$work"/part-??
}

# ---- theirs to us

extracts() { "$bundlecp" extract -q "$1" -C "$work/out"; }
extracts_stdin() { "$bundlecp" extract -q - -C "$work/out" <"$1"; }
# shellcheck disable=SC2002 # a pipe is what is tried
extracts_pipe() { cat "$1" | "$bundlecp" extract -q - -C "$work/out"; }

# theirs NAME TREE COMMAND TREE ARCHIVE...: COMMAND packs TREE, and we extract that both ways.
theirs() {
  local name=$1 tree=$2 archive=$work/theirs/archive
  rm -f "$archive"*
  # shellcheck disable=SC2053 # a pattern
  [[ "theirs: $name, ${tree##*/}, from a file" == $only || "theirs: $name, ${tree##*/}, from a pipe" == $only ]] || return 0
  if ! "$3" "$tree" "$archive" "${@:4}" >"$work/log" 2>&1; then
    not_ok "theirs: $name, ${tree##*/}: packs"
    return 0
  fi
  # 7-Zip and zip put an ending behind names that have none.
  [[ -f $archive ]] || mv "$archive".* "$archive"
  received "$name" "$tree" "$archive"
}

received() {
  local way name
  for way in file pipe; do
    name="theirs: $1, ${2##*/}, from a $way"
    case $way in
      file) check "$name" comes_back "$name" "$2" extracts "$3" ;;
      pipe) check "$name" comes_back "$name" "$2" extracts_pipe "$3" ;;
    esac
  done
}

theirs_tar() {
  local tree=$1
  theirs "GNU tar, gnu" "$tree" tar_with --format=gnu
  theirs "GNU tar, posix" "$tree" tar_with --format=posix --xattrs
  theirs "GNU tar, gnu, sparse" "$tree" tar_with --format=gnu -S
  for version in 0.0 0.1 1.0; do
    theirs "GNU tar, posix, sparse $version" "$tree" tar_with --format=posix --xattrs -S --sparse-version=$version
  done
  theirs "bsdtar, pax" "$tree" bsdtar_with --format=pax
  theirs "bsdtar, gnutar" "$tree" bsdtar_with --format=gnutar
  theirs "tarfile, PAX" "$tree" tarfile_with PAX
  theirs "tarfile, GNU" "$tree" tarfile_with GNU
  theirs "7-Zip, tar" "$tree" sevenzip_with -ttar
}

# The old formats, for trees of short names.
theirs_old_tar() {
  theirs "GNU tar, ustar" "$1" tar_with --format=ustar
  theirs "GNU tar, v7" "$1" tar_with --format=v7
  theirs "bsdtar, ustar" "$1" bsdtar_with --format=ustar
  theirs "bsdtar, v7" "$1" bsdtar_with --format=v7tar
  theirs "tarfile, USTAR" "$1" tarfile_with USTAR
}

theirs_zip() {
  theirs "zip -ry" "$1" zip_with
  theirs "7-Zip, zip" "$1" sevenzip_with -tzip
  theirs "bsdtar, zip" "$1" bsdtar_with --format=zip
}

# compressed TREE: one tar, compressed by each program in its ways.
compressed() {
  local tree=$1 tar=$work/theirs/plain.tar packed=$work/theirs/packed way
  tar_with "$tree" "$tar" --format=posix --xattrs
  while read -r way; do
    # shellcheck disable=SC2086 # words of a command line
    ${way#* : } <"$tar" >"$packed"
    received "tar, ${way% : *}" "$tree" "$packed"
  done <<END
gzip : gzip -1 -c
pigz : pigz -1 -c
pigz, independent blocks : pigz -1 -i -c
bzip2 : bzip2 -1 -c
xz -T2 : xz -1 -T2 --block-size=1MiB -c
xz, no check : xz -1 --check=none -c
xz, sha256 : xz -1 --check=sha256 -c
zstd --long=27 : zstd -q -1 --long=27 -c
zstd -T0 : zstd -q -3 -T0 -c
zstd, no checksum : zstd -q -1 --no-check -c
concatenated gzip : pieces $tar gzip -1 -c
concatenated bzip2 : pieces $tar bzip2 -1 -c
concatenated xz : pieces $tar xz -1 -c
concatenated zstd : pieces $tar zstd -q -1 -c
END
  rm -f "$tar" "$packed"
}

# ---- ours to them

# ours FORMAT TREE READER...: we pack TREE, and each reader extracts it.
ours() {
  local format=$1 tree=$2 reader name archive options=()
  case $format in single:*) options=(--single-frame) ;; esac
  archive=$work/ours/${tree##*/}.${format#*:}
  # shellcheck disable=SC2053 # a pattern
  [[ "ours: $format" == ${only%%,*} ]] || return 0
  name="ours: $format, ${tree##*/}"
  if ! "$bundlecp" pack -q -f "${options[@]}" "$tree" -o "$archive" >"$work/log" 2>&1; then
    not_ok "$name: packs"
    return 0
  fi
  check "$name: passes the tests of its own programs" tests "$archive"
  for reader in "${@:3}"; do
    check "$name, $reader" comes_back "$name, $reader" "$tree" "by_$reader" "$archive" "$work/out"
  done
  case $format in
    zip) check "$name, zipfile" "$python" "$repo/ci/interop/peer.py" read-zip "$archive" "$tree" ;;
  esac
  rm -f "$archive"
}

# ---- our smallest archives

# packs_smaller TREE: `--profile small` makes less of a bundle than the usual one does.
packs_smaller() {
  local usual=$work/ours/usual.bcp small=$work/ours/small.bcp
  "$bundlecp" pack -q -f "$1" -o "$usual" && "$bundlecp" pack -q -f --profile small "$1" -o "$small" &&
    stat -c '%s %n' "$usual" "$small" && (($(stat -c %s "$small") < $(stat -c %s "$usual")))
}

# inflates TREE: every stream of Python's zlib is stored as what it inflates to.
inflates() {
  "$bundlecp" pack -q -f --profile small "$1" -o "$work/ours/small.bcp" &&
    "$python" "$repo/ci/interop/streams.py" count "$work/ours/small.bcp" "$1"
}

# small NAME TREE CHECK: packs TREE by CHECK, and extracts it both ways.
small() {
  local peer
  # shellcheck disable=SC2053 # a pattern
  [[ "ours: small bcp" == ${only%%,*} ]] || return 0
  check "ours: small bcp, $1" "$3" "$2"
  for peer in bundlecp bundlecp_from_a_pipe; do
    check "ours: small bcp, ${2##*/}, $peer" \
      comes_back "ours: small bcp, ${2##*/}, $peer" "$2" "by_$peer" "$work/ours/small.bcp" "$work/out"
  done
}

# ---- the run

stage="installs the peers"
install_packages tar libarchive-tools p7zip-full zip unzip gzip pigz xz-utils zstd bzip2 python3 >"$work/log" 2>&1
install_for_bundles >"$work/log" 2>&1
stage="builds the bundles"
find_or_make_bundles >"$work/log" 2>&1
stage="finds or builds bundlecp"
find_bundlecp
if [[ $(7z | sed -n 's/^7-Zip [^0-9]*\(64\] \)\?\([0-9]*\)\..*/\2/p') -ge 25 ]]; then links+=(-snld20); fi
stage="makes the trees"
mkdir "$work/trees" "$work/ours" "$work/theirs"
: >"$work/used"
"$python" "$repo/ci/interop/tree.py" "$work/trees" >"$work/log" 2>&1
"$python" "$repo/ci/interop/streams.py" make "$work/trees/streams" >"$work/log" 2>&1
plain=$work/trees/plain odd=$work/trees/odd linked=$entry/linked-data

stage="checks"
tar_readers=(tar bsdtar tarfile_trusting tarfile_careful 7z)
for tree in "$plain" "$odd" "$linked"; do
  ours tar "$tree" "${tar_readers[@]}"
  # What is in the tar is known by now; the large tree shows that all of the stream arrives.
  if [[ $tree == "$linked" ]]; then tar_readers=(tar bsdtar); fi
  for format in tar.gz tar.bz2 tar.xz tar.zst single:tar.zst; do
    ours "$format" "$tree" "${tar_readers[@]}"
  done
  ours zip "$tree" unzip bsdtar 7z
  ours bcp "$tree" bundlecp bundlecp_from_a_pipe
  theirs_tar "$tree"
  theirs_zip "$tree"
done
small "streams of Python's zlib are inflated" "$work/trees/streams" inflates
for tree in "$entry"/{stdlib,numpy-pillow}; do
  small "${tree##*/} is smaller than by default" "$tree" packs_smaller
  check "ours: small bcp, ${tree##*/}: the program runs" prints_the_same "$tree"
done
theirs_old_tar "$plain"
theirs_old_tar "$linked"
compressed "$plain"
compressed "$linked"
for tree in "$entry"/{stdlib,numpy-pillow,qt}; do
  for peer in tar bsdtar; do
    ours tar.zst "$tree" "$peer"
    [[ $tree == */qt ]] || check "ours: tar.zst, ${tree##*/}, $peer: the program runs" prints_the_same "$tree"
  done
  for peer in unzip 7z; do
    ours zip "$tree" "$peer"
    [[ $tree == */qt ]] || check "ours: zip, ${tree##*/}, $peer: the program runs" prints_the_same "$tree"
  done
  for peer in bundlecp bundlecp_from_a_pipe; do
    ours bcp "$tree" "$peer"
    [[ $tree == */qt ]] || check "ours: bcp, ${tree##*/}, $peer: the program runs" prints_the_same "$tree"
  done
  theirs "GNU tar, posix" "$tree" tar_with --format=posix -I "zstd -1 -T0"
  [[ $tree == */qt ]] || check "theirs: GNU tar, posix, ${tree##*/}: the program runs" prints_the_same "$tree"
  theirs "zip -ry" "$tree" zip_with -1
  [[ $tree == */qt ]] || check "theirs: zip -ry, ${tree##*/}: the program runs" prints_the_same "$tree"
done
if [[ $only == "*" ]]; then
  check "no exception is in the table that no check needed" \
    "$python" "$repo/ci/interop/judge.py" --stale "$work/exceptions" "$work/used"
fi
stage=finished
