#!/usr/bin/env bash
# Tries to break a copy, an extraction and a packing: faults, kills, signals, changing sources, attackers, races, limits and wrong input.
#
# Usage: ci/faults.sh [PART...]     parts: sweep kill change swap runs limits calls inputs archives; all by default
#   BUNDLECP=PATH                   the binary to prove; by default the release build of this tree
#   PYTHON=PATH                     the interpreter for the checks
#   FAULTS_SECONDS=N                how long folders are swapped for links at random, 20 by default
#   FAULTS_KEEP=1                   keeps the folder that everything took place in, to reproduce what went wrong
#
# To save time, `archives` swaps folders at every 7th call, kills at 60 moments and signals at 20; faults meet each call.
#
# Needs Linux on x86-64, a C compiler and Python 3.9. As root it runs more: an ordinary user beside it, a full disk.
# Prints `ok - faults: …`, `not ok - faults: …` with what happened and how to reproduce it, or `skipped - faults: …`
# a line, more of the same on standard error, and last `N passed, M failed, K skipped`. Exits 1 when a check failed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
parts=("$@")
((${#parts[@]})) || parts=(calls inputs archives sweep kill change runs limits swap)

install_missing() {
  local tool missing=()
  for tool in strace:strace python3:python3 cc:gcc setpriv:util-linux; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
  done
  ((${#missing[@]} && EUID == 0)) || return 0
  export DEBIAN_FRONTEND=noninteractive
  # Another script may install something too.
  flock "${TMPDIR:-/tmp}/bundlecp-apt.lock" apt-get update -qq >&2
  flock "${TMPDIR:-/tmp}/bundlecp-apt.lock" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

clean_up() {
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  # In a group of its own, so that this reaches all that a part started.
  [[ -n $child ]] && kill -- "-$child" 2>/dev/null && wait "$child" 2>/dev/null
  umount "$work"/run/{inputs/full,archives-full} 2>/dev/null
  [[ -n ${FAULTS_KEEP:-} ]] && echo "ci/faults.sh: \`$work\` is kept" >&2 && return
  chmod -R u+rwX "$work" 2>/dev/null
  rm -rf --one-file-system "$work"
}

if [[ $(uname -sm) != "Linux x86_64" ]]; then
  echo "ci/faults.sh: the injector knows Linux on x86-64 only" >&2
  exit 2
fi
install_missing

if [[ -z ${BUNDLECP:-} ]]; then
  (cd "$here/.." && cargo build --release)
  BUNDLECP=${CARGO_TARGET_DIR:-$here/../target}/release/bundlecp
fi
if [[ ! -x $BUNDLECP ]]; then
  echo "ci/faults.sh: \`$BUNDLECP\` is not an executable" >&2
  exit 2
fi

child=
work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/bundlecp-faults.XXXXXX")")
readonly work
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
umask 022
# The ordinary user of some cases must reach the binary, wherever this tree is checked out.
chmod 755 "$work"
mkdir "$work/bin" "$work/run"
install -m 755 "$BUNDLECP" "$work/bin/bundlecp"
for tool in inject exchange peak; do
  cc -O2 -Wall -Wextra -Werror -o "$work/bin/$tool" "$here/faults/$tool.c"
done

export FAULTS_WORK=$work/run FAULTS_BUNDLECP=$work/bin/bundlecp FAULTS_INJECT=$work/bin/inject
export FAULTS_EXCHANGE=$work/bin/exchange FAULTS_PEAK=$work/bin/peak
export PYTHONDONTWRITEBYTECODE=1
for part in "${parts[@]}"; do
  # In the background, because bash answers a signal during `wait`, but not while it waits for a command in front.
  set -m
  "${PYTHON:-python3}" "$here/faults/$part.py" > >(tee -a "$work/results") &
  child=$!
  set +m
  status=0
  wait "$child" || status=$?
  child=
  if ((status)); then
    echo "not ok - faults: $part: the checks themselves ended with status $status" | tee -a "$work/results"
  fi
done

# The last lines of a part may still be on their way through `tee`.
sleep 0.2
count() {
  grep -c "^$1 - " "$work/results" || true
}
passed=$(count ok) failed=$(count "not ok") skipped=$(count skipped)
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
