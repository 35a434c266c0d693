#!/usr/bin/env bash
# Extracts every archive of a corpus of hostile ones, among victims that must not change.
#
# Usage: ci/corpus.sh [PATTERN]     only archives whose path has PATTERN in it
#   BUNDLECP=PATH                   the binary to prove; by default the release build of this tree
#   BUNDLECP_CORPUS=DIR             the corpus, with MANIFEST.tsv; by default `corpus` or `shared/corpus` beside this tree
#   PYTHON=PATH                     the interpreter for the checks
#
# Needs Python 3.9. As root it extracts as an ordinary user.
# Each archive is extracted on 1, 2 and 16 threads, from a file and from a pipe, in at most 10 s and 256 MiB. What stands in
# a folder `accept` must come out, what in `reject` be refused; all else, `malicious` too, must stay in its destination.
# Prints `ok - corpus: …` or `not ok - corpus: …` a line, and last `N passed, M failed, K skipped`. Exits 1 when one failed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

corpus=${BUNDLECP_CORPUS:-}
if [[ -z $corpus ]]; then
  for place in "$here/../../corpus" "$here/../../shared/corpus"; do
    [[ -f $place/MANIFEST.tsv ]] && corpus=$place && break
  done
fi
if [[ ! -f $corpus/MANIFEST.tsv ]]; then
  echo "skipped - corpus: no corpus (set BUNDLECP_CORPUS to one)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi

if [[ -z ${BUNDLECP:-} ]]; then
  (cd "$here/.." && cargo build --release)
  BUNDLECP=${CARGO_TARGET_DIR:-$here/../target}/release/bundlecp
fi

work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/bundlecp-corpus.XXXXXX")")
readonly work
trap 'chmod -R u+rwX "$work" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP
umask 022
# The ordinary user must reach all of it, wherever this tree and the corpus are.
chmod 755 "$work"
mkdir "$work/bin" "$work/run"
install -m 755 "$BUNDLECP" "$work/bin/bundlecp"
cp -R "$corpus" "$work/corpus"
chmod -R a+rX "$work/corpus"
status=0
"${PYTHON:-python3}" -B "$here/corpus/run.py" "$work" "${1:-}" || status=$?
exit "$status"
