#!/usr/bin/env bash
# Proves that what `bundlecp doctor --format sarif` prints is as the schema of SARIF 2.1.0 has it; and in a real browser
# that the page of `--html` shows what it has to, in light and dark, narrow and wide, that it loads nothing, and that
# hostile names in a bundle stay names.
#
# Needs Python 3; installs Chromium, and fetches the schema with npm, if it can: what needs one that can't be had is left
# out. Made for Debian 12.
#   BUNDLECP     the binary to test (default: the release build of this repository)
#   SCREENSHOTS  a folder that gets the pictures
# Prints `ok - …` or `not ok - …` for each check, and ends with `N passed, M failed, K skipped`; exits 1 if any failed.
set -euo pipefail

script=doctor-reports
work=$(mktemp -d)
# shellcheck source=ci/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# library TEXT: the beginning of one for Linux, and 300,000 bytes.
library() { printf "\\177ELF\\2\\1\\1%09d\\3%048d%s" 0 0 "$1" && head -c 300000 /dev/zero; }

# A bundle that was flattened, with names that would be markup, and one that is whole.
make_bundles() {
    local contents=$work/app/_internal number
    mkdir -p "$contents/data/v1" "$contents/data/v2" "$work/empty"
    library program >"$work/app/app"
    for number in {1..9}; do
        mkdir -p "$contents/pkg$number.libs"
        library "$number" | tee "$contents/pkg$number.libs/lib$number.so.1" >"$contents/lib$number.so.1"
    done
    echo modules >"$contents/base_library.zip"
    head -c 200000 /dev/zero >"$contents/data/v1/text"
    head -c 200001 /dev/zero >"$contents/data/v2/text"
    printf v1 >"$contents/data/current"
    ln -s none "$work/app/<img src=x onerror=document.title=1>"
    ln -s none "$work/app/\"><script>document.title=1<"
    chmod -R a+x "$work/app"
    cp -r "$work/app" "$work/whole"
    (cd "$work/whole" && rm ./*"<"* && ln -sf v1 _internal/data/current &&
        for number in {1..9}; do ln -sf "pkg$number.libs/lib$number.so.1" "_internal/lib$number.so.1"; done)
    # As many entries as a large bundle has.
    mkdir "$work/large"
    "$python" - "$work/large" <<'END'
import os, sys
for folder in range(250):
    os.mkdir(f"{sys.argv[1]}/{folder}")
    for file in range(100):
        with open(f"{sys.argv[1]}/{folder}/{file}.py", "wb") as out:
            out.write(b"x" * (1 + (folder * file) % 3000))
END
}

# browse NAME WIDTH,HEIGHT FLAG...: the page as a browser has it behind its scripts, in $work/dom, what it logged in
# $work/browser.log and a picture.
browse() {
    local name=$1 size=$2
    shift 2
    local flags=(--headless=new --no-sandbox --disable-gpu --hide-scrollbars --enable-logging=stderr --log-level=0
        --user-data-dir="$work/profile" --virtual-time-budget=5000 --window-size="$size" "$@")
    timeout 120 "$chromium" "${flags[@]}" --screenshot="$work/$name.png" "file://$work/$page.html" 2>"$work/browser.log" &&
        timeout 120 "$chromium" "${flags[@]}" --dump-dom "file://$work/$page.html" >"$work/dom" 2>>"$work/browser.log"
    if [ -n "${SCREENSHOTS:-}" ]; then cp "$work/$name.png" "$SCREENSHOTS"; fi
}

# The script and the policy agreed, and no name ran.
is_quiet() {
    if grep -E 'CONSOLE|Refused|Content Security Policy|Uncaught' "$work/browser.log"; then return 1; fi
    grep -q 'class="scripted"' "$work/dom" && grep -q '<title>[a-z]*: bundlecp doctor</title>' "$work/dom"
}
# drawn BOXES CURVES: at least as many rectangles, and as many curves.
drawn() {
    local boxes curves
    boxes=$(grep -o 'data-boxes="[0-9]*"' "$work/dom" | tr -dc 0-9)
    curves=$(grep -o 'data-curves="[0-9]*"' "$work/dom" | tr -dc 0-9)
    echo "$boxes rectangles, $curves curves" && [ "$boxes" -ge "$1" ] && [ "$curves" -eq "$2" ]
}
# A picture has the colours of what is wasted, or none of them, and is as light as asked.
looks() { "$python" "$repo/ci/doctor-reports/look.py" "$@"; }

# report TREE STATUS
report() {
    local status=0
    page=$1
    "$bundlecp" doctor -q "$work/$1" --html "$work/$1.html" || status=$?
    [ "$status" -eq "$2" ]
}

# The schema comes with a program for such files.
fetch_schema() {
    command -v npm >/dev/null || { echo "there is no npm"; return 77; }
    (cd "$work" && npm pack --silent @microsoft/sarif-multitool-linux@5.7.0 && tar -xf microsoft-sarif-multitool-*.tgz) ||
        { echo "the schema can't be downloaded"; return 77; }
    "$python" -m pip install -q --target "$work/pip" jsonschema==4.25.1 || { echo "no checker can be downloaded"; return 77; }
}
# sarif TREE STATUS
sarif() {
    local status=0
    [ -d "$work/pip" ] || { echo "there is no schema, or no checker"; return 77; }
    (cd "$work" && "$bundlecp" doctor "$1" --format sarif) >"$work/sarif" || status=$?
    [ "$status" -eq "$2" ] && PYTHONPATH=$work/pip "$python" - "$work/package/sarif-2.1.0.json" "$work/sarif" <<'END'
import json, sys, jsonschema
schema, told = (json.load(open(path)) for path in sys.argv[1:])
checker = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
wrong = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(told)]
# What finds no mistake in anything proves nothing.
told["runs"][0]["tool"]["driver"]["rules"] = [{"name": "has no id"}]
assert not checker.is_valid(told), "an invalid one passes"
sys.exit("\n".join(wrong) or 0)
END
}

stage="installs a browser"
python=${PYTHON:-python3}
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$chromium" ]; then
    install_packages chromium >"$work/log" 2>&1 || true
    chromium=$(command -v chromium || true)
fi
stage="finds or builds bundlecp"
find_bundlecp
stage="makes bundles"
make_bundles >"$work/log" 2>&1
fetch_schema >"$work/log" 2>&1 || skip "$(tail -n 1 "$work/log")"
check "SARIF of a flattened bundle is as its schema has it" sarif app 1
check "SARIF of a whole bundle is as its schema has it" sarif whole 0
if [ -z "$chromium" ]; then
    skip "no Chromium can be had here"
    stage=finished
    exit 0
fi
stage="looks at pages"
check "a flattened bundle gets a page" report app 1
for scheme in "light 1" "dark 0"; do
    read -r name preferred <<<"$scheme"
    for size in 1280,1600 400,1600; do
        browse "$name-${size%,*}" "$size" --blink-settings=preferredColorScheme="$preferred" >"$work/log" 2>&1 || true
        check "$name, $size: no message, no script of others" is_quiet
        check "$name, $size: rectangles for all that has a size, curves for links that are lost" drawn 25 10
        check "$name, $size: what is wasted stands out" looks "$name" wasted "$work/$name-${size%,*}.png"
    done
done
check "each finding is listed, of names that Windows can't hold as well" test "$(grep -c '<li><span class="path">' "$work/dom")" = 14
check "a whole bundle gets a page" report whole 0
browse whole 1280,1600 --blink-settings=preferredColorScheme=1 >"$work/log" 2>&1 || true
check "whole: no message" is_quiet
check "whole: curves for links that are there" drawn 25 10
check "whole: nothing looks wasted" looks light whole "$work/whole.png"
check "whole: it says so" grep -q "Nothing is wrong with it" "$work/dom"
check "an empty folder gets a page" report empty 0
browse empty 1280,900 >"$work/log" 2>&1 || true
check "empty: no message" is_quiet
check "empty: nothing is drawn" drawn 0 0
check "25,000 files get a page" report large 0
browse large 1280,1600 >"$work/log" 2>&1 || true
check "large: no message" is_quiet
check "large: thousands of rectangles" drawn 5000 0
check "the page of 25,000 files has less than 2 MB" test "$(stat -c %s "$work/large.html")" -lt 2000000
stage=finished
