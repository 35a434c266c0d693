# Cases for file systems that hold links: everything arrives, whichever way the bytes go. Sourced by ci/filesystems.sh.
# `work` is set by ci/filesystems.sh.
# shellcheck shell=bash disable=SC2154

# What each mount can do, apart from what the kernel's version decides (see probe_cases).
declare -A abilities=(
  [ext4]="symlinks=yes case_sensitive=yes hardlinks=yes exec=yes reflink=no mtime_resolution_ns=1 name_max=255"
  [xfs]="symlinks=yes case_sensitive=yes hardlinks=yes exec=yes reflink=yes mtime_resolution_ns=1 name_max=255"
  [btrfs]="symlinks=yes case_sensitive=yes hardlinks=yes exec=yes reflink=yes mtime_resolution_ns=1 name_max=255"
  [tmpfs]="symlinks=yes case_sensitive=yes hardlinks=yes exec=yes reflink=no mtime_resolution_ns=1 name_max=255"
  [tmpfs-noexec]="symlinks=yes exec=no"
  [tmpfs-8m]="symlinks=yes exec=yes"
  [tmpfs-200-inodes]="symlinks=yes exec=yes"
  [ntfs]="symlinks=yes case_sensitive=no hardlinks=yes exec=yes reflink=no mtime_resolution_ns=100"
  [fat]="symlinks=no case_sensitive=no hardlinks=no reflink=no xattrs=no mtime_resolution_ns=2000000000"
  [exfat]="symlinks=no case_sensitive=no hardlinks=no reflink=no xattrs=no mtime_resolution_ns=1000000000"
  [vfat]="symlinks=no case_sensitive=no hardlinks=no reflink=no xattrs=no mtime_resolution_ns=2000000000"
)

# What `filesystem` must contain: FUSE hides the format behind its own type, so any of these is an honest name.
declare -A called=(
  [ext4]="ext" [xfs]="xfs" [btrfs]="btrfs"
  [tmpfs]="tmpfs" [tmpfs-noexec]="tmpfs" [tmpfs-8m]="tmpfs" [tmpfs-200-inodes]="tmpfs"
  [ntfs]="ntfs|fuse" [fat]="fat|fuse" [exfat]="fat|fuse" [vfat]="fat|msdos"
)

# The NTFS driver lists names in lower case and takes UTF-8 only.
tree_for() {
  case $1 in
    ntfs) echo portable ;;
    *) echo full ;;
  esac
}

# Before Linux 6.6 tmpfs has no user attributes, so this is found by doing.
holds_xattrs() {
  touch "$1/.attr" && setfattr -n user.bundlecp -v 1 "$1/.attr" 2>/dev/null
  local held=$?
  rm -f "$1/.attr"
  return "$held"
}

# probe_cases NAME: leaves the JSON answer in $work/stdout.
probe_cases() {
  local name=$1 dir=$work/mnt/$1 before
  read -ra wanted <<<"${abilities[$name]}"
  if [[ ${abilities[$name]} != *xattrs=* ]]; then
    if holds_xattrs "$dir"; then wanted+=(xattrs=yes); else wanted+=(xattrs=no); fi
  fi
  before=$(listing "$dir")
  timed run probe "$dir" --json
  if [[ ${abilities[$name]} == *symlinks=yes* ]]; then
    check "$name" "probe exits 0 where links are held" exited 0
  else
    check "$name" "probe exits 1 where links aren't held" exited 1
  fi
  check "$name" "probe takes less than a second" within_a_second
  check "$name" "probe leaves nothing behind" unchanged "$dir" "$before"
  check "$name" "probe finds what the file system can do" answers can "${wanted[@]}"
  check "$name" "probe names the file system" answers that "re.search(r'${called[$name]}', d['filesystem'], re.I)"
  check "$name" "probe counts free bytes and inodes" answers room "$dir"
}

# arrived NAME SRC DST [COMPARE OPTION...]: the last run copied SRC to DST whole.
arrived() {
  local name=$1 src=$2 dst=$3
  shift 3
  check "$name" "the copy succeeds" exited 0
  check "$name" "it reports every link" answers that "d['symlinks'] == $(find "$src" -type l | wc -l)"
  check "$name" "kinds, targets, bytes, modes, times, hard links, holes and attributes arrive" \
    same_tree "$src" "$dst" "$@"
  run verify "$src" "$dst" --json
  # Times that the destination had to cut short are the one thing that verify may find.
  if [[ " $* " == *" --mtime-step "* ]]; then
    check "$name" "verify finds no difference but in time" \
      answers that "all(x['kind'] == 'mtime' for x in d['differences'])"
    return 0
  fi
  check "$name" "verify finds the copy equal" exited 0
  check "$name" "verify says so in JSON" answers that "d['equal'] is True and d['differences'] == []"
}

linked_cases() {
  local name=$1 dir=$work/mnt/$1 options=()
  probe_cases "$name"
  mkdir "$dir/src"
  holds_xattrs "$dir" || options=(--no-xattrs)
  make_tree "$(tree_for "$name")" "$dir/src/app"
  fresh "$dir/out"
  run -R "$dir/src/app" "$dir/out/app" --json
  arrived "$name" "$dir/src/app" "$dir/out/app" "${options[@]}"
  check "$name" "nothing but the copy stands in the destination" test "$(ls -A "$dir/out")" = app
  check "$name" "the program runs from the copy" speaks "$dir/out/app"

  # A staging folder is named after the copy: there is no room for anything beside 255 bytes.
  make_tree linked "$dir/src/small"
  fresh "$dir/out"
  run -R "$dir/src/small" "$dir/out/$(printf 'd%.0s' {1..255})"
  check "$name" "a copy may have a name of 255 bytes" exited 0
}

shares_extents() {
  sync "$1"
  filefrag -v "$1" | grep -qw shared || { filefrag -v "$1" && return 1; }
}

shares_nothing() {
  ! shares_extents "$1" >/dev/null || { filefrag -v "$1" && return 1; }
}

# On file systems with reflinks, from source and copy that linked_cases left.
shared_cases() {
  local name=$1 dir=$work/mnt/$1 src=$work/mnt/$1/src/app mode
  sync -f "$dir"
  for mode in auto always; do
    fresh "$dir/out"
    run -R "--reflink=$mode" "$src" "$dir/out/app" --json
    check "$name" "--reflink=$mode reports the method" answers that "used('reflink')"
    check "$name" "--reflink=$mode shares the extents" shares_extents "$dir/out/app/_internal/big.bin"
  done
  # copy_file_range shares extents by itself on both file systems, so `never` has to read and write.
  fresh "$dir/out"
  run -R --reflink=never "$src" "$dir/out/app" --json
  check "$name" "--reflink=never reports another method" answers that "not used('reflink')"
  check "$name" "--reflink=never shares nothing" shares_nothing "$dir/out/app/_internal/big.bin"
  arrived "$name, --reflink=never" "$src" "$dir/out/app"
}

unshared_cases() {
  local name=$1 dir=$work/mnt/$1
  fresh "$dir/out"
  run -R --reflink=always "$dir/src/app" "$dir/out/app"
  check "$name" "--reflink=always fails where nothing can be shared" refused
  check "$name" "--reflink=always leaves nothing behind" empty "$dir/out"
}

# across_case FROM TO: the source is FROM's, or a portable one where TO is particular about names.
across_case() {
  local from=$1 to=$2 src=$work/mnt/$1/src/app dst=$work/mnt/$2/across options=()
  if [[ $(tree_for "$to") == portable ]]; then
    src=$work/mnt/$from/src/portable
    make_tree portable "$src"
    # NTFS counts time in 100 ns.
    options=(--mtime-step 100)
  fi
  holds_xattrs "$work/mnt/$to" || options+=(--no-xattrs)
  fresh "$dst"
  run -R "$src" "$dst/app" --json
  arrived "$from to $to" "$src" "$dst/app" "${options[@]}"
  rm -rf "$dst"
}

# As nobody: no rights to lean on for the unreadable, the read-only and other owners.
user_cases() {
  local name=$1 dir=$work/mnt/$1/user options=()
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
  install -d -o 65534 -g 65534 "$dir"
  holds_xattrs "$work/mnt/$name" || options=(--no-xattrs)
  "${as[@]}" mkdir "$dir/src" "$dir/out"
  make_tree full "$dir/src/app"
  run probe "$dir/out" --json
  check "$name, ordinary user" "probe exits 0" exited 0
  check "$name, ordinary user" "probe leaves nothing behind" empty "$dir/out"
  run -R "$dir/src/app" "$dir/out/app" --json
  arrived "$name, ordinary user" "$dir/src/app" "$dir/out/app" "${options[@]}"
  check "$name, ordinary user" "nothing but the copy stands in the destination" test "$(ls -A "$dir/out")" = app
  as=()
  rm -rf "$dir"
}
