#!/usr/bin/env bash
# The examples do what they say: a spec file of PyInstaller, the steps of the actions for GitHub and of the jobs
# for GitLab, with an artifact store between them that follows links, and the installer.
#
#   BUNDLECP   the binary to test (default: the release build of this repository)
set -euo pipefail
cd "$(dirname "$0")/.."
script=integration
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source ci/checks.sh

stage="installing what the checks need"
install_packages python3-venv python3-dev zip unzip >"$work/log" 2>&1 || true
python3 -m venv "$work/venv" >"$work/log" 2>&1
if ! "$work/venv/bin/pip" install -q pyinstaller==6.22.3 pyyaml==6.0.3 >"$work/log" 2>&1; then
    skip "all of it: PyInstaller can't be installed"
    stage=finished
    exit
fi
find_bundlecp
mkdir "$work/bin" && ln -s "$bundlecp" "$work/bin/bundlecp"
export PATH=$work/bin:$PATH BUNDLECP_CACHE_DIR=$work/cache

stage="the spec file"
builds() {
    cp -r examples/pyinstaller "$work/spec" && (cd "$work/spec" && "$work/venv/bin/pyinstaller" -y hello.spec)
}
arrives() {
    bundlecp extract "$work/spec/dist/hello.tar.zst" -C "$work/arrived" &&
        [ "$("$work/arrived/hello/hello")" = "$("$work/spec/dist/hello/hello")" ] &&
        [ "$(find "$work/arrived" -type l | wc -l)" = "$(find "$work/spec/dist/hello" -type l | wc -l)" ]
}
check "pyinstaller hello.spec ends with a verified archive" builds
check "what is extracted of it runs, with every link" arrives

# A bundle with links for what follows.
mkdir -p "$work/ci/dist/app/lib" && echo x >"$work/ci/dist/app/lib/a" && chmod 755 "$work/ci/dist/app/lib/a"
ln -s lib/a "$work/ci/dist/app/link" && ln -s lib "$work/ci/dist/app/folder"

# What artifact stores do: links are followed, modes dropped.
cat >"$work/steps.py" <<'END'
"""Runs the shell steps of a composite action or a job, as its host would."""

import os, re, subprocess, sys, yaml

path, at, *inputs = sys.argv[1:]
inputs = dict(one.split("=", 1) for one in inputs)
text = open(path).read()


def filled(text):
    """With what the host puts in place of `${{ … }}`."""
    values = {"runner.temp": os.path.join(at, "temp"), **{f"inputs.{name}": value for name, value in inputs.items()}}
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found.group(1)], text)


document = yaml.safe_load(text)
os.makedirs(os.path.join(at, "temp"), exist_ok=True)
if "runs" in document:
    assert document["runs"]["using"] == "composite"
    for step in document["runs"]["steps"]:
        if "run" in step:
            variables = {name: filled(value) for name, value in step["env"].items()}
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled(step["run"])]
            subprocess.run(command, cwd=at, env=os.environ | variables, check=True)
        elif "path" in step["with"]:
            print("artifact:", filled(step["with"]["path"]), filled(step["with"]["name"]))
else:
    for line in document[inputs["job"]][inputs["part"]]:
        subprocess.run(["sh", "-ec", line], cwd=at, check=True)
END
steps() { "$work/venv/bin/python" "$work/steps.py" "$@"; }
# store FILE FOLDER: through an artifact store.
store() {
    rm -rf "$work/store.zip" && (cd "$(dirname "$1")" && zip -q -r "$work/store.zip" "$(basename "$1")") &&
        mkdir -p "$2" && unzip -q -o "$work/store.zip" -d "$2"
}
same() { bundlecp verify "$work/ci/dist/app" "$1" && [ "$(readlink "$1/folder")" = lib ]; }

stage="GitHub"
github() {
    mkdir -p "$work/ci" "$work/next/temp" &&
        steps .github/actions/upload-bundle/action.yml "$work/ci" path=dist/app name=app retention-days=0 &&
        store "$work/ci/temp/app.bcp" "$work/next/temp/bundle" &&
        steps .github/actions/download-bundle/action.yml "$work/next" path=in name=app &&
        same "$work/next/in/app"
}
check "the two actions carry a folder through a store that flattens" github

stage="GitLab"
gitlab() {
    local file=examples/gitlab/bundle.gitlab-ci.yml
    mkdir -p "$work/job" && steps "$file" "$work/ci" job=.pack-bundle part=after_script &&
        store "$work/ci/app.bcp" "$work/job" &&
        steps "$file" "$work/job" job=.extract-bundle part=before_script && same "$work/job/dist/app"
}
check "the two jobs do so as well" gitlab

well_formed() { "$work/venv/bin/python" -c 'import sys, yaml; [yaml.safe_load(open(path)) for path in sys.argv[1:]]' .github/workflows/*.yml; }
check "the workflows are well-formed" well_formed

stage="the installer"
installer=${CARGO_TARGET_DIR:-$repo/target}/debug/examples/installer
cargo build --locked --example installer >"$work/log" 2>&1
# version N [FAILS]: an archive of a program that says so.
version() {
    rm -rf "$work/app" && mkdir -p "$work/app/lib" &&
        printf '#!/bin/sh\necho "version %s"; exit %s\n' "$1" "${2:-0}" >"$work/app/app" && chmod +x "$work/app/app" &&
        ln -s lib "$work/app/link" && touch "$work/app/only-in-$1" &&
        bundlecp pack -q -f "$work/app" -o "$work/app-$1.tar.zst"
}
says() { [ "$("$work/here/app/app")" = "version $1" ] && [ -L "$work/here/app/link" ] && [ -e "$work/here/app/only-in-$1" ]; }
only() { [ "$(ls "$work/here")" = "$1" ]; }
installs() {
    mkdir "$work/here" && version 1 && "$installer" "$work/app-1.tar.zst" "$work/here/app" app && says 1 && only app
}
updates() {
    version 2 && "$installer" "$work/app-2.tar.zst" "$work/here/app" app && says 2 && [ ! -e "$work/here/app/only-in-1" ] &&
        only $'app\napp.before'
}
goes_back() {
    version 3 1 && ! "$installer" "$work/app-3.tar.zst" "$work/here/app" app && says 2
}
refuses() {
    head -c 300 "$work/app-1.tar.zst" >"$work/cut.tar.zst" &&
        ! "$installer" "$work/cut.tar.zst" "$work/here/app" app && says 2 && [ ! -e "$work/here/app.new" ]
}
check "it installs a first version" installs
check "it replaces it by a second one, of which nothing is mixed with the first" updates
check "a version that doesn't start gives way to the one before" goes_back
check "a damaged archive changes nothing" refuses
# Return stands in the terminal's queue before it begins; the archive takes longer than the look at it.
cancels() {
    version 4 && head -c 1500000000 /dev/zero >"$work/app/zeros" &&
        bundlecp pack -q -f "$work/app" -o "$work/app-4.tar.zst" &&
        "$work/venv/bin/python" - "$installer" "$work/app-4.tar.zst" "$work/here/app" <<'END'
import os, pty, sys

child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
os.write(terminal, b"\n")
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 130)
END
}
cancelled() { cancels && says 2 && [ ! -e "$work/here/app.new" ] && rm "$work/app-4.tar.zst" "$work/app/zeros"; }
check "Return stops it, and nothing has changed" cancelled

stage=finished
