"""Prints the tables of benches/peers.sh: medians, and ratios round by round."""

import glob
import json
import os
import platform
import re
import statistics
import subprocess
import sys

LABELS = {
    "S": "scientific bundle",
    "Q": "bundle with Qt",
    "N": "node_modules",
    "F": "one folder of 50,000 files",
    "G": "one file of 2 GiB",
}
PEERS = ["cp", "rsync", "xcp", "cpz", "fcp"]


# What is asked of each piece of work with archives: peers and the largest ratio.
BARS = {
    "tar.zst": {"bsdtar": 0.65, "tar": 0.55, "unsquashfs": 0.85},
    "foreign.tar.zst": {"bsdtar": 0.8},
    "tar.gz": {"tar": 0.6},
    "tar.xz": {"tar": 0.6},
    "zip": {"ripunzip": 0.7, "unzip": 0.25},
    "pack.tar.zst": {"bsdtar": 0.9, "tar": 0.9},
    "pack.zip": {"zip": 0.5},
    "list.tar.zst": {},
    "list.zip": {},
    "bcp": {"bsdtar": 0.6, "unsquashfs": 0.75},
    "fast.bcp": {"bsdtar": 0.6, "unsquashfs": 0.75},
    "stored.bcp": {"copy": 1.2},
    "pack.bcp": {"mksquashfs": 0.6, "tar": 1.0},
    "pack.fast.bcp": {"tar": 0.9},
    "small.bcp": {"7z": 0.33},
    "pack.small.bcp": {"7z": 1.5},
    "list.bcp": {},
    "member.bcp": {},
}
WORK = {
    "tar.zst": "extract .tar.zst",
    "foreign.tar.zst": "extract .tar.zst of one frame",
    "tar.gz": "extract .tar.gz",
    "tar.xz": "extract .tar.xz",
    "zip": "extract .zip",
    "pack.tar.zst": "pack .tar.zst",
    "pack.zip": "pack .zip",
    "list.tar.zst": "list .tar.zst",
    "list.zip": "list .zip",
    "bcp": "extract .bcp",
    "fast.bcp": "extract .bcp of the profile fast",
    "stored.bcp": "extract .bcp of the profile stored",
    "pack.bcp": "pack .bcp",
    "pack.fast.bcp": "pack .bcp, profile fast",
    "small.bcp": "extract .bcp of the profile small",
    "pack.small.bcp": "pack .bcp, profile small",
    "list.bcp": "list .bcp",
    "member.bcp": "extract one member of a .bcp",
}


def main(work, cache):
    times = read(work)
    print(f"{machine()}\n")
    copies = {key: rounds for key, rounds in times.items() if key[2] is None}
    archives = {key: rounds for key, rounds in times.items() if key[2] is not None}
    if copies:
        print_copies(copies)
    if archives:
        print_archives(archives)
        print_weights(os.path.join(work, "weights.txt"))
    if os.path.isdir(os.path.join(work, "starts")):
        print_starts(os.path.join(work, "starts"))
    for group in filter(lambda group: os.path.isdir(os.path.join(cache, group)), "SQN"):
        print(f"{LABELS[group]}: {describe(os.path.join(cache, group))}.")


# What is asked of a start: the largest ratio of what it takes over the folder's.
START_BARS = {"PyInstaller": 0.35, "wrappe": 0.9}


def print_starts(folder):
    """Starts over the folder's own, and sizes."""
    print("| start over the folder's | bundlecp | peers | ratios (asked) |\n|---|---|---|---|")
    for when in "first", "later":
        for name in "little", "sci":
            rounds = []
            for path in glob.glob(os.path.join(folder, f"{when}-{name}-*.json")):
                with open(path, encoding="utf-8") as file:
                    results = json.load(file)["results"]
                if not path.endswith("-0.json"):
                    rounds.append(over_the_folder({r["command"]: r["median"] for r in results}))
            peers = [peer for peer in START_BARS if peer in rounds[0]]
            median = {peer: statistics.median(row[peer] for row in rounds) for peer in [*peers, "bundlecp"]}
            cells = ", ".join(f"{peer} {1000 * median[peer]:.1f}" for peer in peers)
            ratios = []
            for peer in peers:
                found = statistics.median(row["bundlecp"] / row[peer] for row in rounds)
                asked = START_BARS[peer] if when == "first" else 1.0
                missed = " missed" if found > asked else ""
                ratios.append(f"{found:.2f} × {peer} (≤ {asked}{missed})")
            print(f"| {name}, {when} | **{1000 * median['bundlecp']:.1f} ms** | {cells} | {', '.join(ratios)} |")
    print("\n| executable | bytes |\n|---|---|")
    with open(os.path.join(folder, "sizes.txt"), encoding="utf-8") as file:
        for line in file:
            _, path, size = line.split()
            print(f"| {path} | {int(size):,} |")
    print()


def over_the_folder(row):
    base = statistics.mean(time for name, time in row.items() if name.startswith("folder"))
    return {name: time - base for name, time in row.items() if not name.startswith("folder")}


def print_copies(times):
    print("| input, file system | bundlecp | " + " | ".join(PEERS) + " | to the fastest peer | to cp |")
    print("|---|---|" + "---|" * (len(PEERS) + 2))
    for (filesystem, group, _), rounds in times.items():
        medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
        peers = {name: median for name, median in medians.items() if name != "bundlecp"}
        fastest = min(peers, key=peers.get)
        cells = [f"{medians[name]:.4f}" if name in medians else "–" for name in PEERS]
        print(
            f"| {LABELS[group]}, {filesystem} | **{medians['bundlecp']:.4f} s** | "
            + " | ".join(cells)
            + f" | {ratio(rounds, fastest):.2f} ({fastest}) | {ratio(rounds, 'cp'):.2f} |"
        )
    print()


def print_archives(times):
    print("| work, input, file system | bundlecp | peers | ratios (asked) |")
    print("|---|---|---|---|")
    for (filesystem, group, task), rounds in times.items():
        medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
        peers = [name for name in medians if name != "bundlecp"]
        cells = ", ".join(f"{name} {medians[name]:.3f}" for name in peers)
        ratios = []
        for name in peers:
            found, asked = ratio(rounds, name), BARS[task].get(name)
            missed = " missed" if asked is not None and found > asked else ""
            ratios.append(f"{found:.2f} × {name}" + (f" (≤ {asked}{missed})" if asked else ""))
        print(
            f"| {WORK[task]}, {LABELS[group]}, {filesystem} | **{medians['bundlecp']:.3f} s** | "
            f"{cells or '–'} | {', '.join(ratios) or '–'} |"
        )
    print()


def print_weights(path):
    """Sizes to the peer's, and peak memory in MiB."""
    sizes, memory = {}, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            kind, group, *rest = line.split()
            if kind == "size":
                sizes[group, rest[0]] = int(rest[1])
            else:
                memory.append((group, " ".join(rest[:-1]), int(rest[-1])))
    print("| size | bundlecp | peer | ratio |\n|---|---|---|---|")
    for group in "SQN":
        for ours, theirs, name in (
            ("o.tar.zst", "t.tar.zst", "tar -I 'zstd -3 -T0'"),
            ("o.zip", "z.zip", "zip -ry"),
            ("o.bcp", "q.squashfs", "mksquashfs -comp zstd"),
            ("o.bcp", "l.tar.zst", "tar \\| zstd -12 --long=27"),
            ("f.bcp", "t.tar.zst", "tar -I 'zstd -3 -T0'"),
            ("small.bcp", "small.7z", "7z -mx9"),
        ):
            if (group, ours) not in sizes:
                continue
            left, right = sizes[group, ours], sizes[group, theirs]
            print(f"| {LABELS[group]}, {ours.removeprefix('o.').removeprefix('f.')} | {left:,} | {name}: {right:,} | {left / right:.4f} |")
    print("\n| peak memory | MiB |\n|---|---|")
    for group, task, kib in memory:
        print(f"| {task}, {LABELS[group]} | {kib / 1024:.0f} |")
    print()


def read(work):
    """Seconds by input, then by round, then by command; the first round warms up."""
    times = {}
    for path in sorted(glob.glob(os.path.join(work, "*.json"))):
        name = os.path.basename(path)
        filesystem, group, task, number = re.fullmatch(
            r"(\w+)-(\w)(?:-([\w.]+))?-(\d+)\.json", name
        ).groups()
        if number == "0":
            continue
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
        row = {result["command"]: result["times"][0] for result in results}
        times.setdefault((filesystem, group, task), []).append(row)
    systems = {"ext4": 0, "tmpfs": 1, "xfs": 2}
    tasks = [None, *WORK]

    def order(item):
        filesystem, group, task = item[0]
        return (tasks.index(task), "SQNFG".index(group), systems[filesystem])

    return dict(sorted(times.items(), key=order))


def ratio(rounds, peer):
    """The median of ours to the peer's, each round on its own."""
    return statistics.median(row["bundlecp"] / row[peer] for row in rounds)


def describe(path):
    files = dirs = links = size = 0
    for base, names, others in os.walk(path):
        dirs += 1
        for name in names + others:
            full = os.path.join(base, name)
            if os.path.islink(full):
                links += 1
            elif name in others:
                files += 1
                size += os.path.getsize(full)
    return f"{files:,} files, {dirs:,} folders, {links} links, {size / 1e6:.0f} MB"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    model = model.group(1) if model else platform.machine()
    versions = []
    for command in (
        "cp --version",
        "rsync --version",
        "tar --version",
        "bsdtar --version",
        "hyperfine --version",
    ):
        line = subprocess.run(command.split(), capture_output=True, text=True).stdout.splitlines()[0]
        versions.append(re.sub(r"\s+", " ", line))
    return f"{os.cpu_count()} × {model}, Linux {platform.release().split('-')[0]}; {'; '.join(versions)}."


main(*sys.argv[1:])
