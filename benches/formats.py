"""Makes the table and the plot of docs/guide/formats.md of what benches/formats.sh measured."""

import re
import statistics
import sys

packed, extracted, tree, folder = sys.argv[1:]
tree = int(tree)

times = {}
for line in open(extracted):
    name, seconds = line.rstrip("\n").split("\t")
    times.setdefault(name, []).append(float(seconds))

rows = []
for line in open(packed):
    name, _, size, seconds = line.rstrip("\n").split("\t")
    rows.append((name, int(size), float(seconds), statistics.median(times[name])))

table = ["| format | MB | of the tree | pack, s | extract, s |", "|---|---|---|---|---|"]
for name, size, pack, extract in rows:
    shown = "`." + name.replace(" ", "`, `", 1) + "`"
    table.append(f"| {shown} | {size / 1e6:.1f} | {size / tree:.3f} | {pack:.2f} | {extract:.3f} |")

page = f"{folder}/formats.md"
text = open(page).read()
text, count = re.subn(r"(<!-- table -->\n).*?(<!-- end -->)", lambda m: m[1] + "\n".join(table) + "\n" + m[2], text, flags=re.S)
assert count == 1, "the page has no place for the table"
open(page, "w").write(text)

# A point a format: size to the right, time of extraction upwards, both from 0. A tar isn't compressed, and
# bzip2's time would leave no room for the others.
W, H, LEFT, BOTTOM, TOP, RIGHT = 720, 420, 64, 52, 24, 24
shown = [row for row in rows if row[0] not in ("tar", "tar.bz2")]
most_size = max(row[1] for row in shown) / 1e6 * 1.2
most_time = max(row[3] for row in shown) * 1.12


def place(size, seconds):
    x = LEFT + size / 1e6 / most_size * (W - LEFT - RIGHT)
    y = H - BOTTOM - seconds / most_time * (H - BOTTOM - TOP)
    return x, y


parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="13">',
    "<style>text{fill:#222}line{stroke:#999}.grid{stroke:#ddd}.own{fill:#c2410c}.other{fill:#1d4ed8}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.own{fill:#fb923c}.other{fill:#93c5fd}}</style>",
]
step = 20 if most_size > 60 else 10
for size in range(0, int(most_size) + 1, step):
    x, y = place(size * 1e6, 0)
    parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{y:.1f}"/>')
    parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{size}</text>')
seconds = 0.0
while seconds < most_time:
    x, y = place(0, seconds)
    parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{W - RIGHT}" y2="{y:.1f}"/>')
    parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{seconds:g}</text>')
    seconds = round(seconds + (0.5 if most_time > 1.5 else 0.2), 2)
parts.append(f'<text x="{(LEFT + W) / 2}" y="{H - 10}" text-anchor="middle">size, MB</text>')
parts.append(f'<text transform="translate(16 {H / 2}) rotate(-90)" text-anchor="middle">extract, s</text>')
points = [(name, *place(size, extract)) for name, size, _, extract in shown]
for name, x, y in points:
    kind = "own" if name.startswith("bcp") else "other"
    parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    # Beside the point: to the right, unless another one is there.
    is_taken = any(0 < other - x < 90 and abs(height - y) < 14 for _, other, height in points)
    at, anchor = (x - 10, "end") if is_taken else (x + 10, "start")
    label = "." + name.replace(" --profile", ",")
    parts.append(f'<text x="{at:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{label}</text>')
parts.append("</svg>")
open(f"{folder}/formats.svg", "w").write("\n".join(parts) + "\n")
