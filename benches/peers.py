"""Prints the table of benches/peers.sh: medians, and ratios round by round."""

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
    "N": "node_modules",
    "F": "one folder of 50,000 files",
    "G": "one file of 2 GiB",
}
PEERS = ["cp", "rsync", "xcp", "cpz", "fcp"]


def main(work, cache, ours):
    times = read(work)
    print(f"{machine()}\n")
    print("| input, file system | bundlecp | " + " | ".join(PEERS) + " | to the fastest peer | to cp |")
    print("|---|---|" + "---|" * (len(PEERS) + 2))
    for (filesystem, group), rounds in times.items():
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
    for group in "SN":
        print(f"{LABELS[group]}: {describe(os.path.join(cache, group))}.")


def read(work):
    """Seconds by input, then by round, then by command; the first round warms up."""
    times = {}
    for path in sorted(glob.glob(os.path.join(work, "*.json"))):
        filesystem, group, number = re.search(r"(\w+)-(\w)-(\d+)\.json$", path).groups()
        if number == "0":
            continue
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
        row = {result["command"]: result["times"][0] for result in results}
        times.setdefault((filesystem, group), []).append(row)
    order = {"ext4": 0, "tmpfs": 1, "xfs": 2}
    return dict(sorted(times.items(), key=lambda item: ("SNFG".index(item[0][1]), order[item[0][0]])))


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
    for command in ("cp --version", "rsync --version", "hyperfine --version"):
        line = subprocess.run(command.split(), capture_output=True, text=True).stdout.splitlines()[0]
        versions.append(re.sub(r"\s+", " ", line))
    return f"{os.cpu_count()} × {model}, Linux {platform.release().split('-')[0]}; {'; '.join(versions)}."


main(*sys.argv[1:])
