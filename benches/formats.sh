#!/usr/bin/env bash
# Size, time of packing and time of extraction of each format, for the table and the plot of
# docs/guide/formats.md, which it writes: medians of rounds in which all take their turn.
#
#   benches/formats.sh [ROUNDS]   default 7; on a quiet machine
#
#   BUNDLECP   the binary to measure (default: the release build of this repository)
set -euo pipefail
cd "$(dirname "$0")/.."
script=formats
rounds=${1:-7}
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source ci/checks.sh
# shellcheck source=ci/bundles.sh
source ci/bundles.sh

stage="making the bundle"
install_for_bundles
find_bundlecp
find_or_make_bundles
# shellcheck disable=SC2154 # set by the line above
bundle=$entry/numpy-pillow

stage=measuring
formats=(tar tar.gz tar.bz2 tar.xz tar.zst zip bcp "bcp --profile fast" "bcp --profile small")
for format in "${formats[@]}"; do
    # shellcheck disable=SC2086 # the profile is two words
    set -- $format
    archive="$work/$(tr ' ' - <<<"$format").$1"
    began=$EPOCHREALTIME
    "$bundlecp" pack -q "$bundle" -o "$archive" "${@:2}"
    ended=$EPOCHREALTIME
    printf '%s\t%s\t%s\t%s\n' "$format" "$archive" "$(stat -c %s "$archive")" "$(bc <<<"$ended - $began")"
done >"$work/packed"
for ((round = 0; round < rounds; round++)); do
    while IFS=$'\t' read -r format archive _; do
        rm -rf "$work/out"
        began=$EPOCHREALTIME
        "$bundlecp" extract -q "$archive" -C "$work/out"
        ended=$EPOCHREALTIME
        printf '%s\t%s\n' "$format" "$(bc <<<"$ended - $began")"
    done <"$work/packed"
done >"$work/extracted"
python3 benches/formats.py "$work/packed" "$work/extracted" "$(du -sb "$bundle" | cut -f 1)" docs/guide
ok "docs/guide/formats.md has its table, and formats.svg is drawn"
stage=finished
