"""What ci/damage.sh counts: links that were there, that are lost, that were named and that came back."""

import hashlib, json, os, stat, sys

LOST = {"flattened-link", "stub-link", "missing-link"}
# What the archive or the mode says besides, which is damage as well.
BESIDES = {"lost-exec"}


def describe(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return ["symlink", os.readlink(path)]
    if stat.S_ISDIR(info.st_mode):
        return ["dir", oct(stat.S_IMODE(info.st_mode))]
    with open(path, "rb") as file:
        return ["file", oct(stat.S_IMODE(info.st_mode)), hashlib.sha256(file.read()).hexdigest()]


def scan(root):
    paths = [os.path.join(at, name) for at, dirs, files in os.walk(root) for name in dirs + files]
    return {os.path.relpath(path, root): describe(path) for path in paths}


def links(root):
    return {path: seen[1] for path, seen in scan(root).items() if seen[0] == "symlink"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, document):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


def covered(path, paths):
    """`path` or a folder above it is one of `paths`."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in paths for count in range(1, len(parts) + 1))


def told(whole, broken, report, counts, status):
    before, after = links(whole), links(broken)
    lost = {path: target for path, target in before.items() if after.get(path) != target}
    findings = read(report)["findings"]
    named = {each["path"]: each.get("target") for each in findings if each["code"] in LOST}
    listed = {each["path"] for each in findings if each["code"] == "ambiguous-link"}
    # Below a folder that should be a link, its other links are copies as well: the one is named.
    found = {path for path in lost if covered(path, named.keys() | listed)}
    wrong = [f"{path}: not named" for path in lost.keys() - found]
    wrong += [f"{path}: named, but was no link" for path in named.keys() | listed if path not in lost]
    wrong += [f"{path}: {target} instead of {before[path]}" for path, target in named.items()
              if path in before and target != before[path]]
    wrong += [f"besides: {each}" for each in findings
              if each["code"] not in LOST | BESIDES | {"ambiguous-link"} and each["severity"] != "note"]
    # A mode that was lost is one that the whole bundle has.
    wrong += [f"{each['path']}: could never be run" for each in findings if each["code"] in BESIDES
              and not os.stat(os.path.join(whole, each["path"])).st_mode & 0o111]
    if int(status) != int(bool(findings)):
        wrong.append(f"doctor ended with {status}")
    bits = sum(each["code"] in BESIDES for each in findings)
    write(counts, {"lost": len(lost), "found": len(found), "listed": len(listed), "bits": bits, "links": len(before)})
    return wrong


def mended(whole, broken, report, counts):
    before, after, known = links(whole), links(broken), read(counts)
    document = read(report)
    listed = {each["path"] for each in document["undecided"]}
    back = [path for path, target in before.items() if after.get(path) == target]
    wrong = [f"{path}: neither back nor listed" for path in before.keys() - set(back) if not covered(path, listed)]
    wrong += [f"{path}: a link that was none" for path in after.keys() - before.keys()]
    known["restored"] = known["lost"] - (len(before) - len(back))
    write(counts, known)
    return wrong


def silent(report):
    return [f"found: {each}" for each in read(report)["findings"]]


def same(left, right):
    left, right = scan(left), scan(right)
    return [f"{path}: {left.get(path)} became {right.get(path)}" for path in sorted({*left, *right})
            if left.get(path) != right.get(path)]


def row(name, how, counts):
    print(json.dumps([name, how, read(counts)]))


HOW = {
    "zip": "`zip -r`, `unzip`", "make_archive": "`shutil.make_archive`", "zipfile": "`python -m zipfile`",
    "copytree": "`shutil.copytree`", "cp": "`cp -rL`", "7z": "`7z a`", "exfat": "exFAT and back",
    "git": "git, `core.symlinks=false`", "modes": "modes dropped",
}


def table(rows):
    """Damage by bundle: links lost, found, restored by rules, and executable bits that were lost."""
    with open(rows, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    names = list(dict.fromkeys(name for name, _, _ in rows))
    cells = {(name, how): counts for name, how, counts in rows}
    print("| damage | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for how, words in HOW.items():
        def cell(name):
            counts = cells.get((name, how))
            if counts is None:
                return "–"
            text = f"{counts['lost']} / {counts['found']} / {counts.get('restored', '?')}"
            return text + (f", {counts['bits']} bits" if counts["bits"] else "")
        print(f"| {words} | " + " | ".join(cell(name) for name in names) + " |")


if __name__ == "__main__":
    problems = globals()[sys.argv[1]](*sys.argv[2:]) or []
    sys.exit("\n".join(problems[:15]) or 0)
