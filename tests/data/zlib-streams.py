"""Writes zlib-streams.bin: streams that zlib itself has made, for the tests of filter 3 (docs/format.md).

A row a stream: 2 bytes how it was made, as in column 53; 4 bytes length; the stream with zlib's header and checksum.
Made with zlib 1.2.13; versions 1.2.12 to 1.3.1 write the same."""

import random
import struct
import sys
import zlib

WORDS = b"import |self.|return |def |(name, value)|\n    |None|0x|encoding|for | in |items|()|[0]|: ".split(b"|")


def text(size):
    out = bytearray()
    while len(out) < size:
        out += random.choice(WORDS)
        if random.random() < 0.1:
            out += b"%d" % random.randrange(1000)
    return bytes(out[:size])


def image(size):
    return bytes((at * at // 97 + random.randrange(3)) % 256 if at % 7 else 0 for at in range(size))


def stream(data, level=6, window=15, memory=8, strategy=0):
    packer = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    bits = level | window << 4 | (memory - 8) << 8 | strategy << 9
    packed = packer.compress(data) + packer.flush()
    return struct.pack("<HI", bits, len(packed)) + packed


def rows():
    # First what the golden archive holds, which has to stay.
    for level in 1, 6, 9:
        yield stream(text(9000), level)
    # More symbols than a block of memory level 8 has.
    yield stream(bytes(random.choices(range(12), k=20000)), 9, 12, 9, 1)
    for level in 6, 4:
        yield stream(text(2000), level)
    # Every level, and every window.
    for level in range(1, 10):
        yield stream(text(1500) + random.randbytes(200) + text(300), level)
    for window in range(9, 15):
        yield stream(image(1500), 6, window, 9, 1)
    yield stream(text(40000), 9, 15, 9, 0)
    yield stream(text(1500), 5, 15, 8, 1)
    # Large ones: 8 MiB are the most that is inflated.
    for size in 3 << 20, 4 << 20, 5 << 20, (8 << 20) - 1, 8 << 20, 9 << 20:
        piece = text(4)
        yield stream(text(5000) + piece * ((size - 5000) // 4) + piece[: size % 4])


random.seed(53)
with open(sys.argv[1], "wb") as out:
    out.writelines(rows())
