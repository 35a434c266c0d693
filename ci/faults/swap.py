"""Attacks a copy with links that lead outside: nothing there may be written, and nothing there may be copied.

First at each call of a copy, so that every window is hit, then for FAULTS_SECONDS seconds at random. The attacker has
the rights of the user who copies, which is more than an attacker should have.
"""

import ctypes
import glob
import multiprocessing
import os
import random
import shlex
import subprocess
import time

import check
import tree

AT_FDCWD, RENAME_EXCHANGE = -100, 2
EXCHANGE = os.environ["FAULTS_EXCHANGE"]
SECONDS = float(os.environ.get("FAULTS_SECONDS", "20"))
ROUND = 2.0  # seconds
CANARY = b"the canary that lives outside\n"
FOLDERS = ["d", "d/in", "e", "e/deep", "e/deep/er"]
libc = ctypes.CDLL(None, use_errno=True)


class Area:
    """One source, destination, outside folder and set of traps; `number` keeps workers apart."""

    def __init__(self, number):
        self.root = os.path.join(check.WORK, f"swap-{number}")
        self.source, self.dst = self.path("app"), self.path("dst")
        self.outside, self.traps = self.path("outside"), self.path("traps")

    def path(self, *names):
        return os.path.join(self.root, *names)

    def prepare(self):
        check.fresh(self.root)
        make = tree.Maker(self.source, 3)
        for folder in FOLDERS:
            make.dir(folder)
            for number in range(3):
                make.file(f"{folder}/file{number}", 3000)
            make.link(f"{folder}/link", "file0")
            make.hard_link(f"{folder}/second", f"{folder}/file1")
        make.finish()
        # The outside has the same names, so that a path that leads there finds everything that it wants.
        make = tree.Maker(self.outside, 4)
        for folder in ["in", "deep", "deep/er", "er"]:
            make.dir(folder)
        for folder in ["", "in/", "deep/", "deep/er/", "er/"]:
            for number in range(3):
                with open(os.path.join(self.outside, f"{folder}file{number}"), "wb") as file:
                    file.write(CANARY)
        make.finish()
        os.mkdir(self.traps)
        os.mkdir(self.dst)
        for number in range(len(FOLDERS)):
            os.symlink(self.outside, os.path.join(self.traps, str(number)))
        self.outside_before = tree.snapshot(self.outside)

    def problem(self, done):
        """What an attack came to that it must not, or None."""
        changed = tree.difference(self.outside_before, tree.snapshot(self.outside))
        if changed:
            return f"outside, {changed}"
        for path, entry in tree.snapshot(self.dst).items():
            if entry.kind == "file" and entry.size == len(CANARY):
                with open(os.path.join(os.fsencode(self.dst), path), "rb") as file:
                    if file.read() == CANARY:
                        return f"the canary is in the copy, in `{os.fsdecode(path)}`"
        if done.status != 0:
            return check.error_problem(done)
        return None


def current():
    worker = multiprocessing.current_process()._identity
    return Area(worker[0] if worker else 0)


def one_swap(case):
    """Swaps one folder of one side for a link at one call."""
    side, folder, number, arguments, comes_back = case
    area = current()
    area.prepare()
    staged = f"{shlex.quote(area.dst)}/.app.bundlecp-*"
    victim = f"{area.source}/{folder}" if side == "source" else f"{staged}/{folder}"
    swap = f"{EXCHANGE} {victim} {area.traps}/0 2>/dev/null"
    rules = [(number, f"run={swap}")]
    if comes_back:
        rules.append((number + comes_back, f"run={swap}"))
    prefix = check.injector("all", *rules)
    command = [*arguments, area.source, os.path.join(area.dst, "app")]
    done = check.run(command, prefix)
    problem = area.problem(done)
    return problem and (f"{side}, {folder}: {problem}", check.shown([*prefix, "bundlecp", *command]))


def at_each_call(pool):
    area = Area(0)
    area.prepare()
    log = os.path.join(area.root, "log")
    check.run(["-RT", "-j1", area.source, os.path.join(area.dst, "app")], check.injector("all", log=log))
    total = check.total_calls(log)
    for side in ("source", "staging"):
        cases = [
            (side, folder, number, ["-RT", "-j1"], comes_back)
            for folder in ("d", "e/deep") for comes_back, step in ((0, 5), (4, 9))
            for number in range(1, total + 1, step)
        ]
        problems = [problem for problem in pool.map(one_swap, cases, chunksize=8) if problem]
        check.report(f"a folder of the {side} becomes a link to the outside", problems, f"{len(cases)} moments")


def exchange(root, folder, trap):
    """Swaps a folder below `root` with a trap, without a way through a link that stands there by now."""
    *above, name = folder.split("/")
    handles = []
    try:
        handles.append(os.open(root, os.O_DIRECTORY | os.O_NOFOLLOW))
        for part in above:
            handles.append(os.open(part, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handles[-1]))
        return libc.renameat2(handles[-1], os.fsencode(name), AT_FDCWD, os.fsencode(trap), RENAME_EXCHANGE) == 0
    except OSError:
        return False
    finally:
        for handle in handles:
            os.close(handle)


def attack(area, seed, stop):
    """Swaps folders for links and back, without a pause."""
    draw = random.Random(seed)
    while not stop.is_set():
        roots = [area.source, *glob.glob(os.path.join(glob.escape(area.dst), ".app.bundlecp-*"))]
        victim = draw.choice(roots), draw.choice(FOLDERS)
        trap = os.path.join(area.traps, str(draw.randrange(len(FOLDERS))))
        if exchange(*victim, trap):
            for _ in range(draw.randrange(200)):
                pass
            exchange(*victim, trap)
            # Without a pause no copy would come further than its scan.
            time.sleep(draw.random() * 0.004)


def at_random():
    area = Area("random")
    problems, counts = [], [0, 0]
    end = time.monotonic() + SECONDS
    seed = 0
    while time.monotonic() < end and not problems:
        # Now and then a link gets lost in what a run removes: then everything is made again.
        area.prepare()
        stop = multiprocessing.Event()
        attacker = multiprocessing.Process(target=attack, args=(area, seed, stop), daemon=True)
        attacker.start()
        try:
            withstand(area, min(end, time.monotonic() + ROUND), problems, counts)
        finally:
            stop.set()
            attacker.join()
        seed += 1
    runs, made = counts
    check.report(f"folders are swapped for links at random for {SECONDS:g} s", problems, f"{runs} runs, {made} made")
    check.remove(area.root)


def withstand(area, end, problems, counts):
    """Copies until the time `end`, or until something got out or in."""
    while time.monotonic() < end and not problems:
        command = [*(["-RT"] if counts[0] % 2 else ["-RfT"]), area.source, os.path.join(area.dst, "app")]
        done = check.run(command)
        counts[0] += 1
        counts[1] += done.status == 0
        found = tree.difference(area.outside_before, tree.snapshot(area.outside)) or panic(done) or stray(area)
        if found:
            problems.append((found, check.shown(["bundlecp", *command]) + " against the attacker"))
        if counts[0] % 3 == 1:
            clear(area)


def panic(done):
    return check.error_problem(done) if done.status != 0 else None


def stray(area):
    """The canary in a copy, looked for without following the links that the attacker put there."""
    for path, dirs, files in os.walk(area.dst):
        for name in files:
            try:
                handle = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW)
            except OSError:
                continue
            with open(handle, "rb") as file:
                at = os.path.realpath(os.path.join("/proc/self/fd", str(handle)))
                if file.read(len(CANARY)) == CANARY and at.startswith(area.dst + "/"):
                    return f"the canary is in the copy, in `{at}`"
    return None


def clear(area):
    """Removes what the last run and the attacker left; links are removed, not followed. What moves away stays."""
    subprocess.run(["rm", "-rf", *glob.glob(os.path.join(glob.escape(area.dst), "app"))], check=False,
                   stderr=subprocess.DEVNULL)


def main():
    with multiprocessing.Pool(os.cpu_count()) as pool:
        at_each_call(pool)
    at_random()


if __name__ == "__main__":
    main()
