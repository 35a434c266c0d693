"""Compares two trees without bundlecp's own eyes: `compare.py same|flat|listed SRC DST`.

same    DST is SRC: kinds, targets, bytes, modes, times, hard-link groups, holes, user attributes.
flat    DST is SRC with each link replaced by what it leads to.
listed  DST is SRC without its links, and DST/.bundlecp-links.json names each of them with its target.

Prints one line a difference and exits 1 when there is one.
"""

import argparse
import json
import os
import stat
import sys

LINKS = b".bundlecp-links.json"
# A copy may round its last extents up; a hole of these trees is at least sixteen times as large.
HOLE_SLACK = 64 * 1024


def scan(root):
    """Returns {relative path: lstat}, the root under the empty name."""
    found = {b"": os.lstat(root)}
    for parent, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, root)] = os.lstat(path)
    return found


def read(path):
    with open(path, "rb") as content:
        return content.read()


def attributes(path):
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
        if name.startswith("user.")
    }


def hard_links(tree):
    """Returns the sets of names that are one file."""
    groups = {}
    for name, info in tree.items():
        if stat.S_ISREG(info.st_mode):
            groups.setdefault((info.st_dev, info.st_ino), set()).add(name)
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def names(left, right):
    for name in sorted(left.keys() - right.keys()):
        yield name, "missing"
    for name in sorted(right.keys() - left.keys()):
        yield name, "extra"


def same(src, dst, options):
    left, right = scan(src), scan(dst)
    yield from names(left, right)
    for name in sorted(left.keys() & right.keys()):
        here, there = os.path.join(src, name), os.path.join(dst, name)
        yield from ((name, what) for what in entry(here, left[name], there, right[name], options))
    for group in hard_links(left) ^ hard_links(right):
        yield b", ".join(sorted(group)), "hard links differ"


def entry(here, left, there, right, options):
    """Yields what differs between two entries of one name."""
    if stat.S_IFMT(left.st_mode) != stat.S_IFMT(right.st_mode):
        yield f"kind {stat.filemode(left.st_mode)} became {stat.filemode(right.st_mode)}"
        return
    # Floored, not rounded: file systems cut a time short.
    wanted = left.st_mtime_ns // options.mtime_step * options.mtime_step
    if right.st_mtime_ns != wanted:
        yield f"mtime {right.st_mtime_ns}, wanted {wanted}"
    if stat.S_ISLNK(left.st_mode):
        if os.readlink(here) != os.readlink(there):
            yield f"target {os.readlink(here)} became {os.readlink(there)}"
        return
    if left.st_mode != right.st_mode:
        yield f"mode {left.st_mode:o} became {right.st_mode:o}"
    if not options.no_xattrs and attributes(here) != attributes(there):
        yield f"attributes {attributes(here)} became {attributes(there)}"
    if not stat.S_ISREG(left.st_mode):
        return
    if read(here) != read(there):
        yield "bytes differ"
    used, taken = left.st_blocks * 512, right.st_blocks * 512
    if used < left.st_size and taken > used + HOLE_SLACK:
        yield f"holes filled: {used} bytes of blocks became {taken}"


def followed(root):
    """Returns {relative path: bytes, or None for a folder}, links replaced by what they lead to."""
    found = {}
    for parent, folders, files in os.walk(root, followlinks=True):
        found.update((os.path.relpath(os.path.join(parent, name), root), None) for name in folders)
        for name in files:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, root)] = read(path)
    return found


def contents(left, right):
    yield from names(left, right)
    for name in sorted(left.keys() & right.keys()):
        if left[name] != right[name]:
            yield name, "bytes or kind differ"


def flat(src, dst, _):
    yield from ((name, "is a link") for name, info in scan(dst).items() if stat.S_ISLNK(info.st_mode))
    yield from contents(followed(src), followed(dst))


def listed(src, dst, _):
    left, links = {}, {}
    for name, info in scan(src).items():
        path = os.path.join(src, name)
        if stat.S_ISLNK(info.st_mode):
            links[os.fsdecode(name)] = os.fsdecode(os.readlink(path))
        elif name:
            left[name] = read(path) if stat.S_ISREG(info.st_mode) else None
    right = followed(dst)
    document = right.pop(LINKS, None)
    yield from contents(left, right)
    if document is None:
        yield LINKS, "missing"
        return
    found = {link["path"]: link["target"] for link in json.loads(document)["links"]}
    if found != links:
        yield LINKS, f"lists {found}, wanted {links}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=("same", "flat", "listed"))
    parser.add_argument("src", type=os.fsencode)
    parser.add_argument("dst", type=os.fsencode)
    parser.add_argument("--mtime-step", type=int, default=1, metavar="NS")
    parser.add_argument("--no-xattrs", action="store_true", help="the destination has none")
    options = parser.parse_args()
    how = {"same": same, "flat": flat, "listed": listed}[options.how]
    if not os.path.lexists(options.dst):
        sys.exit("there is no copy")
    differences = [f"{name!r}: {what}" for name, what in how(options.src, options.dst, options)]
    print(*differences, sep="\n")
    sys.exit(1 if differences else 0)
