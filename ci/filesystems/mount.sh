# The file systems under test, each in $work/mnt/NAME. Sourced by ci/filesystems.sh.
#
# Images are sparse and as small as their mkfs allows. A mount that this kernel can't do is a skip with its reason.
# `work` is set by ci/filesystems.sh.
# shellcheck shell=bash disable=SC2154

mount_all() {
  attempt ext4 mount_image ext4 64M mkfs.ext4 -q -F
  attempt xfs mount_image xfs 320M mkfs.xfs -q -m reflink=1
  attempt btrfs mount_image btrfs 128M mkfs.btrfs -q
  attempt tmpfs mount_tmpfs tmpfs size=64m
  attempt tmpfs-8m mount_tmpfs tmpfs-8m size=8m
  attempt tmpfs-200-inodes mount_tmpfs tmpfs-200-inodes size=64m,nr_inodes=200
  attempt tmpfs-noexec mount_tmpfs tmpfs-noexec size=64m,noexec
  attempt ntfs mount_ntfs
  attempt fat mount_fusefat
  attempt exfat mount_exfat
  attempt vfat mount_image vfat 64M mkfs.vfat
}

mounted() {
  mountpoint -q "$work/mnt/$1"
}

# attempt NAME COMMAND...
attempt() {
  local name=$1 why
  shift
  mkdir "$work/mnt/$name"
  if "$@" >"$work/mount.log" 2>&1 && mounted "$name"; then
    return 0
  fi
  why=$(grep -v -e 'dmesg(1)' -e '^[[:space:]]*$' "$work/mount.log" | tail -n 1 | sed 's/^mount: [^ ]*: //') || true
  skip "$name" "${why:-the mount failed without a message}"
}

# image NAME SIZE MKFS...
image() {
  local path=$work/image/$1 size=$2
  shift 2
  truncate -s "$size" "$path" && "$@" "$path"
}

# mount_image NAME SIZE MKFS...: by the kernel's own driver.
mount_image() {
  image "$@" && mount -t "$1" -o loop "$work/image/$1" "$work/mnt/$1"
}

# mount_tmpfs NAME OPTIONS
mount_tmpfs() {
  mount -t tmpfs -o "$2" bundlecp-test "$work/mnt/$1"
}

# `permissions` makes the driver keep modes, which it drops otherwise. It lists every name in lower case.
mount_ntfs() {
  image ntfs 64M mkfs.ntfs -q -F -f && lowntfs-3g -o ignore_case,permissions "$work/image/ntfs" "$work/mnt/ntfs"
}

# `rw+` is this driver's word for a writable mount: its author calls writing experimental.
mount_fusefat() {
  image fat 64M mkfs.vfat && fusefat -o rw+ "$work/image/fat" "$work/mnt/fat"
}

mount_exfat() {
  local device
  image exfat 64M mkfs.exfat && device=$(losetup --find --show "$work/image/exfat") &&
    mount.exfat-fuse "$device" "$work/mnt/exfat"
}
