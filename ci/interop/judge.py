"""Tells whether what `bundlecp verify --json` found is excused by the table of exceptions.

Usage: judge.py CHECK TREE TABLE USED < REPORT    prints what isn't excused and exits 1; adds the rows that it used to USED
       judge.py --stale TABLE USED                prints the rows that no check needed and exits 1

A row is `check | difference | reason`: a pattern of check names, a kind of difference with `<N` for times that are
less than N seconds apart and `:pattern` for paths, and why. The times of links are of the kind `linktime`, too. Patterns are as in the shell, of the whole text.
"""

import base64
import datetime
import fnmatch
import json
import os
import re
import sys


def rows(table):
    with open(table) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                check, difference, reason = (part.strip() for part in line.split(" | "))
                kind, seconds, path = re.fullmatch(r"([a-z]+)(?:<([\d.]+))?(?::(.+))?", difference).groups()
                yield line.strip(), check, kind, seconds and float(seconds), path or "*", reason


def seconds_of(text):
    """A time as `verify` writes it, in seconds: no clock of Python's knows nanoseconds."""
    whole, nanos = re.fullmatch(r"(.*)\.(\d{9})Z", text).groups()
    return datetime.datetime.fromisoformat(whole + "+00:00").timestamp() + int(nanos) / 1e9


def is_near(difference, limit):
    return abs(seconds_of(difference["left"]) - seconds_of(difference["right"])) < limit


def kinds_of(difference, tree):
    base = difference.get("path_base64")
    path = os.path.join(os.fsencode(tree), base64.b64decode(base) if base else os.fsencode(difference["path"]))
    return {difference["kind"], "linktime" if difference["kind"] == "mtime" and os.path.islink(path) else ""}


def excuse(difference, check, tree, table):
    for row, pattern, kind, limit, path, _ in table:
        if kind in kinds_of(difference, tree) and fnmatch.fnmatchcase(check, pattern) \
                and fnmatch.fnmatchcase(difference["path"], path) and (not limit or is_near(difference, limit)):
            return row
    return None


def main(check, tree, table, used):
    report = json.load(sys.stdin)
    table = list(rows(table))
    needed, left = set(), []
    for difference in report["differences"]:
        row = excuse(difference, check, tree, table)
        if row:
            needed.add(row)
        else:
            left.append("{kind} `{path}`: {left} against {right}".format(**difference))
    with open(used, "a") as file:
        file.writelines(row + "\n" for row in needed)
    print("\n".join(line[:300] for line in left[:12]))
    return bool(left)


def stale(table, used):
    with open(used) as file:
        needed = set(file.read().splitlines())
    left = [row for row, *_ in rows(table) if row not in needed]
    print("\n".join(left))
    return bool(left)


sys.exit(stale(*sys.argv[2:]) if sys.argv[1] == "--stale" else main(*sys.argv[1:]))
