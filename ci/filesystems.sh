#!/usr/bin/env bash
# Proves bundlecp on real file systems, with and without symbolic links.
#
# Usage: ci/filesystems.sh          needs root (mounts, loop devices); made for Debian 12
#   BUNDLECP=PATH                   the binary to prove; by default the release build of this tree
#   PYTHON=PATH                     the interpreter for the tree maker and the independent checker
#
# Prints `ok - fs NAME: …`, `not ok - fs NAME: …` or `skipped NAME: why` a line, details of a failure on standard
# error, and last `N passed, M failed, K skipped`. Exits 1 when a check failed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# shellcheck source=ci/filesystems/check.sh
source "$here/filesystems/check.sh"
# shellcheck source=ci/filesystems/mount.sh
source "$here/filesystems/mount.sh"
# shellcheck source=ci/filesystems/linked.sh
source "$here/filesystems/linked.sh"
# shellcheck source=ci/filesystems/linkless.sh
source "$here/filesystems/linkless.sh"
# shellcheck source=ci/filesystems/limits.sh
source "$here/filesystems/limits.sh"

install_missing() {
  local package missing=()
  for package in python3 e2fsprogs xfsprogs btrfs-progs dosfstools exfatprogs fusefat exfat-fuse ntfs-3g attr; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# What is mounted is asked of the system, not remembered: a signal between a mount and its bookkeeping leaves nothing.
clean_up() {
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  cd /
  # A process of `timeout`, which passes the signal on to everything below it.
  [[ -n $child ]] && kill "$child" && wait "$child"
  findmnt -rno TARGET | grep -F "$work/" | tac | while read -r target; do
    umount "$target" || umount -l "$target"
  done
  # A FUSE daemon holds its device a moment longer than the mount; detaching then is left to the kernel.
  losetup -nlO NAME,BACK-FILE | while read -r device image; do
    [[ $image == "$work/"* ]] && losetup -d "$device"
  done
  rm -rf --one-file-system "$work"
}

if ((EUID != 0)); then
  echo "ci/filesystems.sh: mounting needs root" >&2
  exit 2
fi
install_missing

if [[ -z ${BUNDLECP:-} ]]; then
  (cd "$here/.." && cargo build --release)
  BUNDLECP=${CARGO_TARGET_DIR:-$here/../target}/release/bundlecp
fi
if [[ ! -x $BUNDLECP ]]; then
  echo "ci/filesystems.sh: \`$BUNDLECP\` is not an executable" >&2
  exit 2
fi

# Resolved, because the table of mounts is.
work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/bundlecp-fs.XXXXXX")")
readonly work
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
umask 022
# The ordinary user of one case must reach the binary and the scripts, wherever this tree is checked out.
chmod 755 "$work"
mkdir "$work/bin" "$work/image" "$work/mnt" "$work/src"
install -m 755 "$BUNDLECP" "$work/bin/bundlecp"
install -m 644 "$here"/filesystems/*.py "$work/bin"

mount_all
for name in ext4 xfs btrfs tmpfs ntfs; do
  mounted "$name" && linked_cases "$name"
done
for name in xfs btrfs; do
  mounted "$name" && shared_cases "$name"
done
mounted ext4 && unshared_cases ext4
for pair in "ext4 tmpfs" "tmpfs xfs" "ext4 ntfs"; do
  read -r from to <<<"$pair"
  mounted "$from" && mounted "$to" && across_case "$from" "$to"
done
for name in ext4 tmpfs; do
  mounted "$name" && user_cases "$name"
done
for name in fat exfat vfat; do
  mounted "$name" && linkless_cases "$name"
done
for name in ntfs fat exfat vfat; do
  mounted "$name" && folded_case "$name"
done
limit_cases

summary
