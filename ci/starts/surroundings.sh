#!/usr/bin/env bash
# One start in hostile surroundings: surroundings.sh CASE, as root and in a name space of mounts of its own.
#
# Reads BUNDLECP (the command), TINY and PROGRAM (executables), TINY_FOLDER, PROGRAM_FOLDER, and ROOM, a folder that others
# can reach. Prints what it sees; exits 0 if all is right, and 77 with the reason if it can't be tried here.
# Scripts are for the shell that is started; backquotes are the messages' own; `die` may come after either.
# shellcheck disable=SC2015,SC2016
set -uo pipefail

work=$ROOM
# shellcheck source=ci/filesystems/mount.sh
source "$(dirname "${BASH_SOURCE[0]}")/../filesystems/mount.sh"
skip() { not_here=$2; }
not_here=
place=$work/mnt/place
home=$work/home
mkdir -p "$place" "$work/image" "$home"
chmod 700 "$home"

die() { echo "$*"; exit 1; }

# run VARIABLE=VALUE... PROGRAM ARGUMENT...: sets status; the output is in $work/out and $work/err.
run() {
    status=0
    env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    echo "\$ $*"; echo "status $status"; cat "$work/out" "$work/err"
}

prints() { [ "$status" -eq 0 ] && [ "$(cat "$work/out")" = "$1" ] && [ ! -s "$work/err" ] || die "wanted: $1"; }

# starts_below FOLDER VARIABLE=VALUE...: twice, and with its files.
starts_below() {
    local below=$1 start unpacked
    shift
    for start in first second; do
        run "${as[@]}" "$@" "$TINY" -c 'd=$(readlink /proc/$$/exe); d=${d%/*}; echo "$d"; cat "$d/_internal/link"'
        unpacked=$(head -n 1 "$work/out")
        prints "$unpacked"$'\n'right
        [[ $unpacked == "$below"/* ]] || die "the $start start is not below $below"
        "$BUNDLECP" verify "$TINY_FOLDER" "$unpacked" || die "what the $start start has is another folder"
    done
}
as=()

# empty FOLDER: nothing was left there but the cache's own folder, which may have been there before.
empty() {
    local left
    left=$(find "$1" -mindepth 1 -not -path "$1/lost+found" -not -path "$1/cache")
    [ -z "$left" ] || die "left in $1: $left"
}

# passed_over: the cache's first choice is on $place, and the next one is taken.
passed_over() {
    starts_below "$home" BUNDLECP_CACHE_DIR="$place/cache" HOME="$home"
    empty "$place"
}

# without_others OPTIONS: the folders for temporary files are mounted with these. The program and $work are at /mnt then.
without_others() {
    local all=${TINY%/*}
    mount --bind "$all" /mnt && mount -t tmpfs -o "$1" none /tmp && mount -t tmpfs -o "$1" none /var/tmp || die mount
    TINY=/mnt/${TINY##*/}
    work=/mnt/${work#"$all"/}
}

# refuses REASON...: no folder is left: one line, and one that says what to do, with each of these.
refuses() {
    local reason
    [ "$status" -eq 3 ] && [ ! -s "$work/out" ] || die "wanted exit status 3"
    [ "$(wc -l <"$work/err")" -eq 2 ] && grep -q '^bundlecp: ' "$work/err" &&
        grep -q '^hint: BUNDLECP_CACHE_DIR' "$work/err" || die "wanted one line and a hint"
    for reason in "$@"; do
        grep -qF -- "$reason" "$work/err" || die "nothing about: $reason"
    done
}

# ---- the cases

noexec() {
    mount -t tmpfs -o noexec none "$place" && passed_over
}

nowhere() {
    without_others noexec
    mkdir /tmp/home
    run HOME=/tmp/home BUNDLECP_CACHE_DIR=/tmp/named TMPDIR=/var/tmp "$TINY" -c 'echo ran'
    refuses '`/tmp/named`' '`/tmp/home/.cache/bundlecp`' '`/var/tmp/bundlecp-0`' '`/tmp/bundlecp-0`' noexec
    [ "$(grep -o noexec "$work/err" | wc -l)" -ge 4 ] || die "not every folder has its reason"
    left=$(find /tmp /var/tmp -not -type d)
    [ -z "$left" ] || die "left: $left"
}

nowhere_to_write() {
    without_others ro
    run HOME=/tmp/home TMPDIR=/tmp/none "$TINY" -c 'echo ran'
    refuses '`/tmp/home' '`/var/tmp/bundlecp-0`' '`/tmp/bundlecp-0`' '`/tmp/none/bundlecp-0`'
}

full() {
    mount -t tmpfs -o size=8m none "$place" && head -c 7M /dev/zero >"$place/fill" || die mount
    starts_below "$home" BUNDLECP_CACHE_DIR="$place/cache" HOME="$home"
    rm "$place/fill"
    empty "$place"
}

# The sizes of its files fit, but the blocks that they take don't: that shows when most of it is there.
full_meanwhile() {
    local size left
    size=$(($(du -sb "$TINY_FOLDER" | cut -f 1) + 200000))
    mount -t tmpfs -o "size=$size" none "$place" && passed_over
    without_others "size=$size"
    mkdir /tmp/home
    run HOME=/tmp/home "$TINY" -c 'echo ran'
    refuses '`/tmp/home/.cache/bundlecp`' '`/var/tmp/bundlecp-0`' '`/tmp/bundlecp-0`' 'No space left on device'
    left=$(find /tmp /var/tmp -not -type d)
    [ -z "$left" ] || die "left: $left"
}

full_and_nowhere() {
    without_others size=1m
    mkdir /tmp/home
    run HOME=/tmp/home "$TINY" -c 'echo ran'
    refuses 'bytes are needed' 'are free' '`/var/tmp/bundlecp-0`' '`/tmp/bundlecp-0`'
}

no_inodes() {
    mount -t tmpfs -o size=64m,nr_inodes=200 none "$place" && passed_over
}

# A daemon would keep the name space, and with it the mount.
unmount() {
    local device image
    umount "$place" || umount -l "$place"
    losetup -nlO NAME,BACK-FILE | while read -r device image; do
        if [[ $image == "$work/"* ]]; then losetup -d "$device"; fi
    done
}

# linkless NAME COMMAND...: a file system that keeps no permission bits.
linkless() {
    attempt "$@"
    [ -z "$not_here" ] || { echo "$not_here"; exit 77; }
    place=$work/mnt/$1
    trap unmount EXIT
    passed_over
}
vfat() { linkless vfat mount_image vfat 64M mkfs.vfat; }
fat() { linkless fat mount_fusefat; }
exfat() { linkless exfat mount_exfat; }

full_ext4() {
    attempt ext4 mount_image ext4 16M mkfs.ext4 -q -F
    [ -z "$not_here" ] || { echo "$not_here"; exit 77; }
    place=$work/mnt/ext4
    head -c 64M /dev/zero 2>/dev/null >"$place/fill"
    starts_below "$home" BUNDLECP_CACHE_DIR="$place/cache" HOME="$home"
    rm "$place/fill"
    empty "$place"
}

read_only_home() {
    mount --bind "$home" "$home" && mount -o remount,bind,ro "$home" && mount -t tmpfs none /var/tmp || die mount
    starts_below /var/tmp/bundlecp-0 HOME="$home"
    empty "$home"
}

no_home() {
    mount -t tmpfs none /var/tmp || die mount
    starts_below /var/tmp/bundlecp-0
}

# A program that PyInstaller made finds itself by /proc, too: it has to be called by its own path.
no_proc() {
    local start
    mount -t tmpfs -o size=1 none /proc || die mount
    [ -z "$(ls /proc)" ] || die "/proc is still there"
    for start in first second; do
        run HOME="$home" BUNDLECP_CACHE_DIR="$work/cache" "$PROGRAM" folder
        prints "$(echo "$work"/cache/[0-9a-f]*/program/_internal) 42"
        run HOME="$home" BUNDLECP_CACHE_DIR="$work/cache-of-tiny" "$TINY" -c 'echo "$1"' sh "$start"
        prints "$start"
        # Its own name is all that it has to find itself by.
        cd "${TINY%/*}" || die cd
        run HOME="$home" BUNDLECP_CACHE_DIR="$work/cache-of-tiny" "./${TINY##*/}" -c 'echo "$1"' sh "$start"
        prints "$start"
    done
    "$BUNDLECP" verify "$PROGRAM_FOLDER" "$work"/cache/[0-9a-f]*/program || die "the cache has another folder"
}

ordinary_user() {
    as=(setpriv --reuid 12345 --regid 12345 --clear-groups env)
    chown 12345:12345 "$home"
    starts_below "$home/.cache/bundlecp" HOME="$home"
    [ "$(stat -c '%u %a' "$home/.cache/bundlecp")" = "12345 700" ] || die "its cache is not its own alone"
    # What it made is of no use to another, not even to root.
    mount -t tmpfs none /var/tmp
    as=()
    starts_below /var/tmp/bundlecp-0 HOME="$home"
}

another_users_cache() {
    mkdir "$work/theirs"
    chown 12345 "$work/theirs"
    starts_below "$home" BUNDLECP_CACHE_DIR="$work/theirs" HOME="$home"
    without_others ro
    run HOME="$work/theirs" BUNDLECP_CACHE_DIR="$work/theirs" "$TINY" -c 'echo ran'
    refuses "\`$work/theirs\` belongs to user 12345"
    empty "$work/theirs"
}

"$1"
