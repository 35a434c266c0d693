"""Whether a picture of a page is light or dark, and has the colour of what is wasted: `look.py light wasted FILE.png`."""

import struct, sys, zlib


def pixels(path):
    """The pixels of a PNG with eight bits a channel, as the browser writes it."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", data[at + 8:at + 18])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    size = {2: 3, 6: 4}[color]
    assert depth == 8
    raw, row = zlib.decompress(packed), bytearray(width * size)
    for line in range(height):
        start = line * (width * size + 1)
        method, new = raw[start], bytearray(raw[start + 1:start + 1 + width * size])
        for i, value in enumerate(new):
            left = new[i - size] if i >= size else 0
            up, corner = row[i], row[i - size] if i >= size else 0
            if method == 1:
                new[i] = value + left & 255
            elif method == 2:
                new[i] = value + up & 255
            elif method == 3:
                new[i] = value + (left + up) // 2 & 255
            elif method == 4:
                near = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
                new[i] = value + near & 255
        row = new
        yield from (tuple(row[i:i + 3]) for i in range(0, len(row), size))


WASTED = {"light": (0xf0, 0xa5, 0x8d), "dark": (0x7d, 0x3a, 0x28)}

if __name__ == "__main__":
    scheme, state, path = sys.argv[1:]
    total = wasted = bright = 0
    for pixel in pixels(path):
        total += 1
        wasted += pixel == WASTED[scheme]
        bright += sum(pixel) > 384
    print(f"{wasted / total:.2%} looks wasted, {bright / total:.2%} is bright")
    sys.exit(not ((wasted / total > 0.02) == (state == "wasted") and (bright / total > 0.5) == (scheme == "light")))
