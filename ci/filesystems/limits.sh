# Cases for destinations that are too small, too strict or noexec. Sourced by ci/filesystems.sh.
# `work` is set by ci/filesystems.sh.
# shellcheck shell=bash disable=SC2154

# refused_whole NAME WHAT SRC OUT: status 3, and nothing was written.
refused_whole() {
  local name=$1 what=$2 src=$3 out=$4
  fresh "$out"
  run -R "$src" "$out/app"
  check "$name" "$what exits 3" exited 3
  check "$name" "$what leaves nothing behind" empty "$out"
}

# On mounts that fold case; needs no links, so it serves FAT as well.
folded_case() {
  local name=$1
  [[ -d $work/src/case ]] || make_tree case "$work/src/case/app"
  refused_whole "$name" "a bundle with names that differ only by case" "$work/src/case/app" "$work/mnt/$name/out"
  check "$name" "the message names both" complains README.txt readme.TXT
}

limit_cases() {
  local dir
  if mounted tmpfs-noexec; then
    probe_cases tmpfs-noexec
    dir=$work/mnt/tmpfs-noexec
    make_tree linked "$dir/src/app"
    fresh "$dir/out"
    run -R "$dir/src/app" "$dir/out/app" --json
    arrived tmpfs-noexec "$dir/src/app" "$dir/out/app"
  fi
  if mounted tmpfs-8m; then
    probe_cases tmpfs-8m
    make_tree big "$work/src/big/app"
    refused_whole tmpfs-8m "a bundle of 12 MiB" "$work/src/big/app" "$work/mnt/tmpfs-8m/out"
    # The same size by its names, a third of it by its blocks: refusing this one would be a false alarm.
    make_tree thin "$work/src/thin/app"
    fresh "$work/mnt/tmpfs-8m/out"
    run -R "$work/src/thin/app" "$work/mnt/tmpfs-8m/out/app" --json
    arrived "tmpfs-8m, a bundle that fits by its holes and hard links" "$work/src/thin/app" \
      "$work/mnt/tmpfs-8m/out/app"
  fi
  if mounted tmpfs-200-inodes; then
    probe_cases tmpfs-200-inodes
    make_tree many "$work/src/many/app"
    refused_whole tmpfs-200-inodes "a bundle of 300 files" "$work/src/many/app" "$work/mnt/tmpfs-200-inodes/out"
  fi
  # exFAT counts 255 UTF-16 units, ext4 255 bytes: a name of 100 three-byte letters fits the one only.
  if mounted exfat && mounted ext4; then
    make_tree long "$work/mnt/exfat/long/app"
    refused_whole "exfat to ext4" "a name of 300 bytes" "$work/mnt/exfat/long/app" "$work/mnt/ext4/out"
  fi
}
