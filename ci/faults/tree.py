"""The trees that are copied, and a snapshot that is independent of the program under test.

A snapshot is everything that a copy has to keep: kinds, bytes, targets, modes, times to the nanosecond, user attributes
and which names are one file. Two trees are equal when their snapshots are.
"""

import hashlib
import os
import random
import stat
from typing import NamedTuple

MIB = 1 << 20
LARGE = 9 * MIB  # from 8 MiB on, workers share a file


class Entry(NamedTuple):
    kind: str
    mode: int
    mtime: int
    size: int
    content: object  # a file's digest, a link's target
    xattrs: tuple
    first_name: bytes  # of all names of the same file


def snapshot(root):
    """Every entry below `root` by its path, `b""` being the root itself; empty if there is none."""
    root = os.fsencode(root)
    found, names = {}, {}
    if not os.path.lexists(root):
        return found
    pending = [b""]
    while pending:
        path = pending.pop()
        full = os.path.join(root, path) if path else root
        entry = look_at(full, path, names)
        found[path] = entry
        if entry.kind == "dir":
            pending.extend(os.path.join(path, name) for name in sorted(os.listdir(full), reverse=True))
    return found


def look_at(full, path, names):
    info = os.lstat(full)
    mode, size, content, first_name = stat.S_IMODE(info.st_mode), 0, None, path
    if stat.S_ISDIR(info.st_mode):
        kind = "dir"
    elif stat.S_ISLNK(info.st_mode):
        kind, mode, content = "link", 0, os.readlink(full)
    elif stat.S_ISREG(info.st_mode):
        kind, size, content = "file", info.st_size, digest(full)
        if info.st_nlink > 1:
            first_name = names.setdefault((info.st_dev, info.st_ino), path)
    else:
        kind = "special"
    xattrs = () if kind == "link" else attributes(full)
    return Entry(kind, mode, info.st_mtime_ns, size, content, xattrs, first_name)


def digest(path):
    hashed = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(MIB):
            hashed.update(block)
    return hashed.digest()


def attributes(path):
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user."))
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)


def difference(wanted, found):
    """The first difference between two snapshots in words, or None."""
    for path in sorted(wanted.keys() | found.keys()):
        left, right = wanted.get(path), found.get(path)
        if left == right:
            continue
        shown = os.fsdecode(path) or "(the root)"
        if left is None or right is None:
            return f"`{shown}` is {'extra' if left is None else 'missing'}"
        for field in Entry._fields:
            if getattr(left, field) != getattr(right, field):
                return f"`{shown}` has {field} {getattr(right, field)!r}, wanted {getattr(left, field)!r}"
    return None


def overlaid(old, new):
    """What a merge of the tree `new` over `old` has to give, first names of files left to the caller's trees."""
    return {**old, **new}


class Maker:
    """Makes entries below a root; every time lies in the past, with nanoseconds of its own."""

    def __init__(self, root, seed):
        self.root = os.fsencode(root)
        self.random = random.Random(seed)
        self.dirs = []
        os.mkdir(self.root)

    def path(self, name):
        return os.path.join(self.root, os.fsencode(name))

    def set_time(self, path):
        seconds = 1_500_000_000 + self.random.randrange(100_000_000)
        nanos = self.random.randrange(1, 1_000_000_000)
        time = seconds * 1_000_000_000 + nanos
        os.utime(path, ns=(time, time), follow_symlinks=False)

    def dir(self, name, mode=0o755):
        os.mkdir(self.path(name))
        self.dirs.append((self.path(name), mode))

    def file(self, name, size, mode=0o644, xattrs=None, hole=None):
        path = self.path(name)
        with open(path, "wb") as file:
            if hole:
                file.truncate(size)
                file.seek(hole)
                file.write(self.random.randbytes(8192))
            else:
                file.write(self.random.randbytes(size))
        for key, value in (xattrs or {}).items():
            os.setxattr(path, key, value)
        os.chmod(path, mode)
        self.set_time(path)

    def link(self, name, target):
        os.symlink(os.fsencode(target), self.path(name))
        self.set_time(self.path(name))

    def hard_link(self, name, first):
        os.link(self.path(first), self.path(name))

    def finish(self, mode=0o755):
        for path, dir_mode in reversed([(self.root, mode), *self.dirs]):
            os.chmod(path, dir_mode)
            self.set_time(path)


def make_bundle(root):
    """50 entries with everything that a bundle can hold."""
    make = Maker(root, 1)
    for name, mode in [
        ("bin", 0o755), ("lib", 0o755), ("lib/plugins", 0o555), ("share", 0o750), ("share/a", 0o755),
        ("share/a/b", 0o711), ("share/a/b/c", 0o1777), ("Versions", 0o755), ("Versions/A", 0o755), ("empty", 0o700),
    ]:
        make.dir(name, mode)
    make.file("bin/app", 30_000, 0o755)
    make.file("bin/helper", 70_000, 0o4755)
    make.file("lib/libfoo.so.1.2.3", 150_000, 0o755)
    make.file("lib/large.bin", LARGE)
    make.file("lib/sparse.img", 4 * MIB, hole=MIB)
    make.file("lib/plugins/one.so", 1000, 0o444)
    make.file("lib/plugins/two.so", 65_536, 0o400, {"user.origin": b"build 7"})
    make.file("share/marked", 10, xattrs={"user.a": b"1", "user.b": b"\0\xff"})
    make.file("share/none", 0)
    make.file("share/secret", 100, 0o600)
    make.file(b"share/caf\xe9", 20)
    make.file("share/a/line\nbreak", 20)
    for number in range(6):
        make.file(f"share/a/b/data{number}", 300 * number + 1)
    make.file("share/a/b/c/deep", 5000)
    make.file("Versions/A/app", 8192, 0o755)
    make.hard_link("share/a/second", "share/none")
    make.hard_link("Versions/A/again", "bin/app")
    make.hard_link("lib/large.copy", "lib/large.bin")
    for name, target in [
        ("lib/libfoo.so.1", "libfoo.so.1.2.3"), ("lib/libfoo.so", "libfoo.so.1"), ("Versions/Current", "A"),
        ("app", "Versions/Current/app"), ("plugins", "lib/plugins"), ("share/dangling", "nothing/there"),
        ("share/absolute", "/etc/hostname"), ("share/self", "self"), ("share/up", "../.."), ("share/slash", "a/"),
        ("share/bytes", b"caf\xe9/\xff"), ("share/long", "x" * 4000), ("empty/link", "../share/marked"),
    ]:
        make.link(name, target)
    os.setxattr(make.path("share/a"), "user.note", b"folder")
    make.file("README", 1234)
    make.file("LICENSE", 1)
    make.finish(0o755)


def make_old(root):
    """A smaller tree that stands where the bundle goes: some names are in both, of the same and of other kinds."""
    make = Maker(root, 2)
    for name in ["bin", "lib", "share", "share/a", "kept"]:
        make.dir(name)
    make.file("bin/app", 20_000, 0o755)
    make.file("lib/libfoo.so", 100)
    make.file("share/none", 7)
    make.file("share/marked", 5, xattrs={"user.old": b"1"})
    make.file("kept/file", 5000)
    make.hard_link("kept/other", "kept/file")
    make.link("README", "kept/file")
    make.link("lib/libfoo.so.1", "gone")
    make.link("kept/link", "..")
    make.finish(0o775)
