"""Judges a JSON document that bundlecp printed: `answer.py FILE that|can|room|grew|print …`.

that EXPRESSION  a Python expression over `d`, the document, with `used` and `errno_named` below.
can KEY=VALUE... `probe`'s abilities; a boolean and `yes` or `no` are the same to it.
room DIR         `probe`'s free bytes and inodes, against statvfs.
grew             some number says by how much a flattened copy is larger.
print KEY        prints a value.
"""

import errno
import json
import os
import re
import sys


def word(value):
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def used(d, method):
    """Tells whether bytes moved by `method`; the methods are a list, or counts by name."""
    methods = d["methods"]
    return bool(methods.get(method)) if isinstance(methods, dict) else method in methods


def errno_named(text, name):
    return bool(text) and (name in text or os.strerror(getattr(errno, name)).lower() in text.lower())


def that(d, expression):
    scope = {"d": d, "re": re, "errno_named": errno_named, "used": lambda method: used(d, method)}
    if not eval(expression, scope):
        yield f"not so: {expression}"


def can(d, *wanted):
    for pair in wanted:
        key, value = pair.split("=")
        if word(d[key]) != value:
            yield f"{key} is {word(d[key])}, wanted {value}"


def room(d, directory):
    """Root may use more than others, and the probe itself takes a little, so a margin stands on either side."""
    real = os.statvfs(directory)
    low, high = real.f_bavail * real.f_frsize - (1 << 20), real.f_bfree * real.f_frsize + (1 << 20)
    if not low <= d["free_bytes"] <= high:
        yield f"free_bytes is {d['free_bytes']}, wanted {low} to {high}"
    # btrfs and the kernel's FAT have no inode table and report none at all, which must not be read as none left.
    if real.f_files == 0:
        if d["free_inodes"] == 0:
            yield "free_inodes is 0 where the file system doesn't count them"
    # Drivers without a table of a fixed size derive the number from free space, so there it moves with that.
    elif abs(d["free_inodes"] - real.f_ffree) > max(16, real.f_ffree // 100):
        yield f"free_inodes is {d['free_inodes']}, wanted about {real.f_ffree}"


def numbers(value, key=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value


def grew(d):
    if not any(re.search("larger|grew|growth|flatten|added|extra", key) and value > 0 for key, value in numbers(d)):
        yield f"no number says how much larger it is: {d}"


if __name__ == "__main__":
    file, how, *rest = sys.argv[1:]
    with open(file, encoding="utf-8") as text:
        try:
            document = json.load(text)
        except ValueError as error:
            sys.exit(f"no JSON on standard output: {error}")
    if how == "print":
        print(document[rest[0]])
        sys.exit(0)
    try:
        faults = list({"that": that, "can": can, "room": room, "grew": grew}[how](document, *rest))
    except KeyError as error:
        faults = [f"no {error} in {document}"]
    print(*faults, sep="\n")
    sys.exit(1 if faults else 0)
