# Running bundlecp, judging what it did, and counting. Sourced by ci/filesystems.sh.
#
# A case runs one command, then makes any number of checks on it: `run` keeps exit status and output for them.
# `work` is set by ci/filesystems.sh.
# shellcheck shell=bash disable=SC2154

passed=0 failed=0 skipped=0
# A command prefix for `run`: empty, or what drops root's rights.
as=()

python() {
  "${PYTHON:-/usr/bin/python3}" -I "$@"
}

# The run that a signal has to end before anything can be unmounted.
child=

# A bound on each run, so that a hang is a failed check and not a job that never ends. In the background, because bash
# answers a signal during `wait`, but not while it waits for a command in front.
run() {
  status=0
  "${as[@]}" timeout -k 5 20 "$work/bin/bundlecp" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null &
  child=$!
  wait "$child" || status=$?
  child=
}

# check NAME WHAT COMMAND...: COMMAND succeeds; what it prints is the reason when it doesn't.
check() {
  local name=$1 what=$2
  shift 2
  if "$@" >"$work/reason" 2>&1; then
    passed=$((passed + 1))
    echo "ok - fs $name: $what"
  else
    failed=$((failed + 1))
    echo "not ok - fs $name: $what"
    {
      head -n 12 "$work/reason" | sed 's/^/#   /'
      echo "#   last run: status ${status:-none}; its output:"
      tr -s '\n ' '  ' <"$work/stdout" | head -c 600 | sed 's/.*/#   1> &\n/'
      head -n 6 "$work/stderr" | cut -c1-600 | sed 's/^/#   2> /'
    } >&2
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "skipped $1: $2"
}

summary() {
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
}

# Predicates on the last run.

exited() {
  local wanted
  for wanted in "$@"; do
    ((status == wanted)) && return 0
  done
  echo "exit status $status, wanted $*"
  return 1
}

refused() {
  ((status != 0)) || { echo "exit status 0, wanted a failure" && return 1; }
}

# answers EXPRESSION: true of the JSON document on standard output; see answer.py for the names it may use.
answers() {
  python "$work/bin/answer.py" "$work/stdout" "$@"
}

complains() {
  local wanted
  for wanted in "$@"; do
    grep -qF -e "$wanted" "$work/stderr" || { echo "standard error doesn't name \`$wanted\`" && return 1; }
  done
}

says() {
  grep -qEi -e "$1" "$work/stdout" "$work/stderr" || { echo "the output has nothing like \`$1\`" && return 1; }
}

# Predicates on trees.

empty() {
  [[ -z $(ls -A "$1") ]] || { echo "left behind: $(ls -A "$1")" && return 1; }
}

listing() {
  (cd "$1" && find . -printf '%P %y\n' | sort)
}

unchanged() {
  diff <(echo "$2") <(listing "$1")
}

same_tree() {
  python "$work/bin/compare.py" same "$@"
}

# The program reads its data through a file link and a folder link: it only speaks when both arrived.
speaks() {
  local said
  said=$("${as[@]}" "$1/bin/run") || { echo "\`bin/run\` failed" && return 1; }
  [[ $said == "hello from the bundle" ]] || { echo "it said: $said" && return 1; }
}

within_a_second() {
  ((elapsed_us < 1000000)) || { echo "took $elapsed_us µs" && return 1; }
}

timed() {
  local start=${EPOCHREALTIME/[.,]/}
  "$@"
  elapsed_us=$((${EPOCHREALTIME/[.,]/} - start))
}

make_tree() {
  "${as[@]}" "${PYTHON:-/usr/bin/python3}" -I "$work/bin/tree.py" "$@"
}

# fresh DIR: an empty folder, for a destination that no earlier case has touched.
fresh() {
  rm -rf "$1"
  "${as[@]}" mkdir "$1"
}
