"""Makes the trees that bundles don't give: `plain` with what every format holds, `odd` with what some don't.

Usage: tree.py FOLDER    makes FOLDER/plain and FOLDER/odd; as root also what only root can read.
"""

import os
import random
import sys

MIB = 1 << 20


class Maker:
    """Makes entries below a root; every time lies in the past, with nanoseconds of its own."""

    def __init__(self, root):
        self.root = os.fsencode(root)
        self.random = random.Random(42)
        self.dirs = []
        os.mkdir(self.root)

    def path(self, name):
        return os.path.join(self.root, os.fsencode(name))

    def age(self, path):
        time = (1_500_000_000 + self.random.randrange(100_000_000)) * 10**9 + self.random.randrange(1, 10**9)
        os.utime(path, ns=(time, time), follow_symlinks=False)

    def dir(self, name, mode=0o755):
        os.makedirs(self.path(name))
        self.dirs.append((self.path(name), mode))

    def file(self, name, size=100, mode=0o644, holes=()):
        with open(self.path(name), "wb") as file:
            if holes:
                file.truncate(size)
            for offset in holes:
                file.seek(offset)
                file.write(self.random.randbytes(4096))
            if not holes:
                file.write(self.random.randbytes(size // 2) + b"the same text " * (size // 28) + b"x" * (size % 28))
        os.chmod(self.path(name), mode)
        self.age(self.path(name))

    def link(self, name, target):
        os.symlink(os.fsencode(target), self.path(name))
        self.age(self.path(name))

    def finish(self):
        for path, mode in [*reversed(self.dirs), (self.root, 0o755)]:
            os.chmod(path, mode)
            self.age(path)


def make_plain(root):
    make = Maker(root)
    for name, mode in [("bin", 0o755), ("lib", 0o755), ("Versions/A", 0o755), ("locked", 0o555), ("empty", 0o700)]:
        make.dir(name, mode)
    make.file("bin/app", 50_000, 0o755)
    make.file("bin/secret", 300, 0o600)
    make.file("lib/libz.so.1.2", 200_000, 0o755)
    make.file("lib/nothing", 0)
    make.file("lib/a name with spaces", 513)
    make.file("locked/read-only", 512, 0o444)
    make.file("Versions/A/app", 8192, 0o755)
    for name, target in [
        ("lib/libz.so.1", "libz.so.1.2"), ("lib/libz.so", "libz.so.1"), ("Versions/Current", "A"),
        ("app", "Versions/Current/app"), ("dangling", "nothing/here"), ("empty/up", "../lib"),
    ]:
        make.link(name, target)
    make.finish()


def make_odd(root):
    make = Maker(root)
    make.dir("names")
    for name in ["-rf", "*", "a\\b", "quote'\"", "tab\tand\nline", "\x1b[31m", "con", "dot.", "space ", " space", "...",
                 "é", "e\u0301 composed", "日本語", "🦀", "UPPER", "upper", "a:b", "x" * 255, "100%", "@file", "#"]:
        make.file(b"names/" + name.encode())
    make.file(b"names/caf\xe9 of latin-1")
    make.dir("links")
    for name, target in [
        ("dangling", "gone"), ("self", "self"), ("long", "y" * 300), ("longer", "../" + "z/" * 900 + "z"),
        ("slash", "../names/"), ("bytes", b"caf\xe9/\xff"), ("dots", "./../links/./dangling"),
    ]:
        make.link(f"links/{name}", target)
    make.link("links/" + "n" * 200, "m" * 200)
    # A path of 900 bytes, its last name of one that no ustar header takes.
    deep = "/".join(["level%02d-%s" % (number, "d" * 40) for number in range(18)])
    make.dir(deep)
    make.file(f"{deep}/{'f' * 120}")
    make.link(f"{deep}/link", "f" * 120)
    make.dir("hard")
    make.file("hard/first", 3000)
    os.link(make.path("hard/first"), make.path("hard/second"))
    os.link(make.path("hard/first"), make.path(f"{deep}/third"))
    make.dir("holes")
    make.file("holes/middle", 4 * MIB, holes=[MIB])
    make.file("holes/many", 2 * MIB, holes=[65536 * number for number in range(0, 32, 2)])
    make.file("holes/only", 3 * MIB + 17, holes=[3 * MIB - 4096])
    with open(make.path("holes/nothing"), "wb") as file:
        file.truncate(MIB)
    make.age(make.path("holes/nothing"))
    make.dir("attributes")
    make.file("attributes/file")
    os.setxattr(make.path("attributes/file"), "user.text", b"value")
    os.setxattr(make.path("attributes/file"), "user.bytes", b"\0\xff=\n")
    os.setxattr(make.path("attributes"), "user.folder", b"1")
    make.age(make.path("attributes/file"))
    make.dir("modes")
    for mode in [0o400, 0o444, 0o500, 0o555, 0o600, 0o640, 0o711, 0o750]:
        make.file(f"modes/{mode:o}", mode=mode)
    make.dir("modes/dir700", 0o700)
    make.dir("modes/dir555", 0o555)
    if os.geteuid() == 0:
        make.file("modes/0", mode=0)
        make.dir("modes/dir0", 0)
        make.file("modes/dir0/in")
    make.file("before 1970")
    os.utime(make.path("before 1970"), ns=(-86_400 * 10**9 - 1, -86_400 * 10**9 - 1))
    make.finish()


make_plain(os.path.join(sys.argv[1], "plain"))
make_odd(os.path.join(sys.argv[1], "odd"))
