"""Makes the bundles that the cases copy: `tree.py SHAPE PATH`.

The same shape has the same bytes, modes and times wherever it is made. Every time lies in the past and has its own
nanoseconds, so that a time which was not set can't pass for one that was.
"""

import errno
import os
import random
import sys

PROGRAM = b"""#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
cat "$here/current/libgreet.so"
"""
MIB = 1 << 20


def folder(*parts):
    os.makedirs(os.path.join(*parts), exist_ok=True)


def file(path, content=b"x"):
    with open(path, "wb") as out:
        out.write(content)


def noise(size):
    """Returns bytes that nothing can compress or share by chance."""
    return random.Random(size).randbytes(size)


def sparse(path, size, islands, island=65536):
    """Writes a file of `size` bytes that is a hole but for `islands`, the last one before its end."""
    with open(path, "wb") as out:
        for offset in islands:
            out.seek(offset)
            out.write(noise(island))
        out.truncate(size)


def attribute(path, name, value):
    """Sets an extended attribute; where there are none, the checker has nothing to compare."""
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def plain(root):
    """A program and what it reads, without a link."""
    for name in ("bin", "_internal", "data", "empty"):
        folder(root, name)
    file(f"{root}/bin/run", PROGRAM)
    os.chmod(f"{root}/bin/run", 0o755)
    file(f"{root}/_internal/libgreet.so.1.0", b"hello from the bundle\n")
    file(f"{root}/data/table.bin", noise(300_000))


def linked(root):
    """As `plain`, with links to files and to a folder, all of them leading somewhere."""
    plain(root)
    os.symlink("libgreet.so.1.0", f"{root}/_internal/libgreet.so.1")
    os.symlink("libgreet.so.1", f"{root}/_internal/libgreet.so")
    os.symlink("_internal", f"{root}/current")
    os.symlink("../data/table.bin", f"{root}/_internal/table.bin")


def portable(root):
    """As `linked`, with everything else that a bundle may hold; names in lower-case ASCII."""
    linked(root)
    file(f"{root}/_internal/big.bin", noise(4 * MIB))
    file(f"{root}/zero", b"")
    file(f"{root}/{'n' * 255}")
    sparse(f"{root}/data/sparse.bin", 8 * MIB, (MIB, 5 * MIB))
    os.symlink("../nowhere/at-all", f"{root}/data/dangling")
    os.symlink("dangling", f"{root}/data/to-dangling")
    os.symlink("self", f"{root}/data/self")
    os.symlink("current/../data/", f"{root}/through")
    os.link(f"{root}/data/table.bin", f"{root}/data/table-again.bin")
    os.link(f"{root}/data/table.bin", f"{root}/bin/table.bin")
    file(f"{root}/bin/pair-one", b"pair")
    os.link(f"{root}/bin/pair-one", f"{root}/pair-two")
    attribute(f"{root}/data/table.bin", "user.note", b"\0 bytes \xff")
    attribute(f"{root}/data", "user.folder", b"of data")
    for name, mode in (("secret", 0o400), ("readonly", 0o444)):
        file(f"{root}/{name}", name.encode())
        os.chmod(f"{root}/{name}", mode)
    for name, mode in (("private", 0o700), ("frozen", 0o555)):
        folder(root, name, "inner")
        file(f"{root}/{name}/inside", b"in " + name.encode())
        os.chmod(f"{root}/{name}", mode)


def full(root):
    """As `portable`, with names and targets that are not UTF-8 and two names that differ only by case."""
    portable(root)
    base = os.fsencode(root)
    file(base + b"/caf\xe9", b"latin-1 name")
    os.symlink(b"caf\xe9", base + b"/latin-\xef")
    os.symlink(b"\xfe\xff/gone", base + b"/data/gone")
    file(f"{root}/Readme", b"upper")
    file(f"{root}/readme", b"lower")


def case(root):
    """Two names that are one where case is folded."""
    folder(root)
    file(f"{root}/README.txt", b"upper")
    file(f"{root}/readme.TXT", b"lower")


def colon(root):
    """A name that FAT and exFAT forbid, after one that they take."""
    folder(root)
    file(f"{root}/allowed")
    file(f"{root}/one:two")


def long(root):
    """A name of 100 letters and 300 bytes."""
    folder(root)
    file(f"{root}/allowed")
    file(f"{root}/{chr(0x3042) * 100}")


def big(root):
    """12 MiB in files of 1 MiB."""
    folder(root)
    for index in range(12):
        file(f"{root}/{index}", noise(MIB))


def thin(root):
    """12 MiB by the sizes of its names, 3 MiB by its blocks."""
    folder(root)
    sparse(f"{root}/sparse.bin", 6 * MIB, (MIB,), island=MIB)
    file(f"{root}/one", noise(2 * MIB))
    os.link(f"{root}/one", f"{root}/two")
    os.link(f"{root}/one", f"{root}/three")


def many(root):
    """300 small files."""
    folder(root)
    for index in range(300):
        file(f"{root}/{index}")


def age(root):
    """Sets every time, folders after what they hold."""
    order = 0
    for parent, folders, files in os.walk(os.fsencode(root), topdown=False):
        for name in sorted(files) + sorted(n for n in folders if os.path.islink(os.path.join(parent, n))) + [b""]:
            order += 1
            seconds = 1_500_000_000 + 86_413 * order
            nanoseconds = (123_456_789 + 7_919_111 * order) % 1_000_000_000
            time = seconds * 1_000_000_000 + nanoseconds
            os.utime(os.path.join(parent, name) if name else parent, ns=(time, time), follow_symlinks=False)


SHAPES = {s.__name__: s for s in (plain, linked, portable, full, case, colon, long, big, thin, many)}

if __name__ == "__main__":
    shape, path = sys.argv[1:]
    os.umask(0o022)
    SHAPES[shape](path)
    age(path)
