"""Python's own `tarfile` and `zipfile` as peers.

Usage: peer.py extract FILTER ARCHIVE|- FOLDER    `-` reads a plain tar from standard input
       peer.py create FORMAT ARCHIVE TREE         FORMAT is GNU, PAX or USTAR
       peer.py read-zip ARCHIVE TREE              compares names, kinds, modes, targets and bytes with the tree
"""

import os
import stat
import sys
import tarfile
import zipfile


def extract(trust, archive, folder):
    opened = tarfile.open(fileobj=sys.stdin.buffer, mode="r|") if archive == "-" else tarfile.open(archive)
    with opened as tar:
        tar.extractall(folder, filter=trust)


def create(form, archive, tree):
    # As `tar --sort=name` would: a hard link behind its file.
    with tarfile.open(archive, "w", format=getattr(tarfile, form + "_FORMAT")) as tar:
        tar.add(tree, os.path.basename(tree))


def wanted(tree):
    found = {}
    for at, dirs, files in os.walk(os.fsencode(tree)):
        for name in [b".", *dirs, *files]:
            path = os.path.normpath(os.path.join(at, name))
            found[os.path.relpath(path, os.path.dirname(os.fsencode(tree)))] = path
    return found


def name_of(info):
    """The name's bytes: without its flag, `zipfile` takes them for code page 437."""
    return info.filename.rstrip("/").encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def read_zip(archive, tree):
    wrong = []
    with zipfile.ZipFile(archive) as opened:
        if opened.testzip():
            wrong.append("testzip: " + opened.testzip())
        infos = {name_of(info): info for info in opened.infolist()}
        paths = wanted(tree)
        wrong += [f"only one side has {name}" for name in infos.keys() ^ paths.keys()]
        for name in infos.keys() & paths.keys():
            info, path = infos[name], paths[name]
            there = os.lstat(path)
            if info.external_attr >> 16 != there.st_mode:
                wrong.append(f"{name}: mode {info.external_attr >> 16:o} instead of {there.st_mode:o}")
            if stat.S_ISLNK(there.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(there.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            else:
                content = b""
            if opened.read(info) != content:
                wrong.append(f"{name}: other content")
    print("\n".join(wrong[:12]))
    return bool(wrong)


does = {"extract": extract, "create": create, "read-zip": read_zip}
sys.exit(does[sys.argv[1]](*sys.argv[2:]))
