# Cases for file systems without symbolic links: refuse first, flatten or list on request. Sourced by
# ci/filesystems.sh.
# `work` is set by ci/filesystems.sh.
# shellcheck shell=bash disable=SC2154

# Prints the name of the error that a symbolic link meets in DIR; fails where one can be made.
symlink_error() {
  python -c '
import errno, os, sys
try:
    os.symlink("target", os.path.join(sys.argv[1], "link"))
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    sys.exit("a symbolic link was made")' "$1"
}

linkless_cases() {
  local name=$1 dir=$work/mnt/$1 out=$work/mnt/$1/out cause filesystem
  cause=$(symlink_error "$dir") || cause=none
  check "$name" "the driver refuses a symbolic link ($cause)" test "$cause" != none

  probe_cases "$name"
  check "$name" "probe gives the cause" answers that "errno_named(d['symlinks_cause'], '$cause')"
  filesystem=$(python "$work/bin/answer.py" "$work/stdout" print filesystem 2>&1) || filesystem='?'
  run probe "$dir"
  check "$name" "probe says that there are no symbolic links" says '^symbolic links +no'

  [[ -d $work/src/linked ]] || { make_tree linked "$work/src/linked/app" && make_tree plain "$work/src/plain/app"; }
  refusal_cases "$name" "$out" "$filesystem"
  flattening_cases "$name" "$out"
  listing_cases "$name" "$out"

  fresh "$out"
  run -R "$work/src/plain/app" "$out/app" --json
  check "$name" "a bundle without links is copied" exited 0
  check "$name" "a bundle without links arrives whole" \
    python "$work/bin/compare.py" flat "$work/src/plain/app" "$out/app"
  name_cases "$name" "$out"
}

refusal_cases() {
  local name=$1 out=$2 filesystem=$3
  fresh "$out"
  run -R "$work/src/linked/app" "$out/app"
  check "$name" "a bundle with links exits 3" exited 3
  check "$name" "a bundle with links leaves nothing behind" empty "$out"
  check "$name" "the message names file system and path" complains "$filesystem" "$out"
  check "$name" "the message has a hint" says "^hint: "
}

flattening_cases() {
  local name=$1 out=$2
  fresh "$out"
  run -R --on-no-symlinks=copy "$work/src/linked/app" "$out/app"
  check "$name" "--on-no-symlinks=copy succeeds" exited 0
  check "$name" "--on-no-symlinks=copy says how much larger the copy is" says 'larger.*[0-9]|[0-9].*larger'
  check "$name" "--on-no-symlinks=copy puts each target's data in its link's place" \
    python "$work/bin/compare.py" flat "$work/src/linked/app" "$out/app"
  fresh "$out"
  run -R --on-no-symlinks=copy "$work/src/linked/app" "$out/app" --json
  check "$name" "--on-no-symlinks=copy says so in JSON" answers grew
}

listing_cases() {
  local name=$1 out=$2
  fresh "$out"
  run -R --on-no-symlinks=manifest "$work/src/linked/app" "$out/app"
  check "$name" "--on-no-symlinks=manifest succeeds" exited 0
  check "$name" "--on-no-symlinks=manifest copies the rest and lists every link" \
    python "$work/bin/compare.py" listed "$work/src/linked/app" "$out/app"
}

# These drivers find out about a name only when it is used: too late for a promise of status 3, never for a clean end.
name_cases() {
  local name=$1 out=$2
  [[ -d $work/src/colon ]] || make_tree colon "$work/src/colon/app"
  fresh "$out"
  run -R "$work/src/colon/app" "$out/app"
  check "$name" "a name that it can't store is refused" exited 3 5
  check "$name" "a name that it can't store leaves nothing behind" empty "$out"
}
