"""Deflate streams of Python's zlib, for `pack --profile small`.

  streams.py make FOLDER           a file for each stream
  streams.py count ARCHIVE FOLDER  every stream that is smaller than its content stands in the archive's column 53
"""

import itertools
import pathlib
import random
import struct
import subprocess
import sys
import zlib

# What is shorter is left as it is.
LEAST = 64


def text(size):
    words = [b"import ", b"self.", b"return ", b"def ", b"\n    ", b"None", b"0x", b"encoding", b"items", b"()"]
    out = bytearray()
    while len(out) < size:
        out += random.choice(words)
        if random.random() < 0.2:
            out.append(random.randrange(256))
    return bytes(out[:size])


def symbols(size):
    return bytes(random.choices(range(random.choice([2, 4, 12, 100])), k=size))


def mixed(size):
    return text(size // 3) + random.randbytes(size // 3) + text(size - 2 * (size // 3))


def header(form, raw, data, packed):
    if form == "zlib":
        return packed
    if form == "image":
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(packed)) + b"IDAT" + packed + b"\0\0\0\0"
    crc = zlib.crc32(data)
    if form == "gzip":
        return b"\x1f\x8b\x08\x08\0\0\0\0\0\xffname\0" + raw + struct.pack("<II", crc, len(data))
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(raw), len(data), 4, 0) + b"name" + raw


def make(folder):
    random.seed(1)
    folder.mkdir()
    sizes = itertools.cycle([0, 1, 100, 262, 1000, 5000, 32768, 33000, 65274, 65535, 100_000, 300_000])
    count = 0
    setups = list(itertools.product(range(1, 10), (8, 9), (0, 1), range(9, 16)))
    for level, memory, strategy, window in 2 * setups:
        for form in ("zlib", "image", "gzip", "zip") if window == 15 else ("image",):
            size = next(sizes)
            data = random.choice([text, symbols, mixed])(random.randrange(size + 1) if count % 3 else size)
            packer = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
            packed = packer.compress(data) + packer.flush()
            name = f"{count}-{form}-{level}-{window}-{memory}-{strategy}"
            (folder / name).write_bytes(header(form, packed[2:-4], data, packed))
            # For `count`: in its name, so that no other file is needed.
            if LEAST <= len(packed) - 6 < len(data):
                (folder / name).rename(folder / f"{name}-inflated")
            count += 1
    print(count, "streams")
    assert count >= 500


def count(archive, folder):
    contents = {path.read_bytes() for path in folder.glob("*-inflated")}
    data = archive.read_bytes()
    (length,) = struct.unpack_from("<Q", data, 24)
    tables = subprocess.run(["zstd", "-dcq"], input=data[40 : 32 + length], stdout=subprocess.PIPE, check=True).stdout
    at, columns = 0, {}
    while at < len(tables):
        number, _, length = struct.unpack_from("<IIQ", tables, at)
        columns[number] = tables[at + 16 : at + 16 + length]
        at += 16 + length
    rows = len(columns.get(53, b"")) // 22
    print(rows, "inflated of", len(contents))
    sys.exit(rows != len(contents))


{"make": make, "count": count}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
