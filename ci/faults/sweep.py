"""Makes each system call of a copy fail, one run a fault.

A run may end with exit 0 and a right copy, or with an error and everything as it was. Which of the two is up to the
program; that it is one of them is not.
"""

import collections
import multiprocessing
import os
import sys

import check
import tree

# What each call may fail with. `short=N` moves fewer bytes than asked for, as a signal or a full disk make it.
ERRORS = {
    "openat": ["EIO", "EMFILE", "EINTR"],
    "mkdirat": ["ENOSPC", "EIO", "EINTR"],
    "symlinkat": ["ENOSPC", "EIO", "EINTR"],
    "linkat": ["ENOSPC", "EMLINK", "EINTR"],
    "unlinkat": ["EIO", "EINTR"],
    "renameat2": ["EIO", "ENOSPC", "EINTR", "EINVAL"],
    "renameat": ["EIO", "EINTR"],
    "read": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR", "short=1"],
    "pwrite64": ["ENOSPC", "EIO", "EINTR", "short=1"],
    "write": ["ENOSPC", "EIO", "EINTR", "short=1"],
    "copy_file_range": ["ENOSPC", "EIO", "EINTR", "EXDEV", "short=1"],
    "fallocate": ["ENOSPC", "EIO", "EINTR", "EOPNOTSUPP"],
    "ftruncate": ["ENOSPC", "EIO", "EINTR"],
    "lseek": ["EIO", "EINTR"],
    "ioctl": ["EIO", "ENOSPC", "EINTR", "EOPNOTSUPP"],
    "flock": ["EIO", "EINTR", "EAGAIN", "ENOSYS"],
    "fchmod": ["EIO", "EINTR"],
    "fchmodat": ["EIO", "EINTR"],
    "fchown": ["EIO", "EINTR"],
    "fchownat": ["EIO", "EINTR"],
    "utimensat": ["EIO", "EINTR"],
    "newfstatat": ["EIO", "EINTR"],
    "fstat": ["EIO", "EINTR"],
    "statx": ["EIO", "EINTR"],
    "fstatfs": ["EIO", "EINTR"],
    "getdents64": ["EIO", "EINTR"],
    "readlinkat": ["EIO", "EINTR"],
    "flistxattr": ["EIO", "EINTR"],
    "fgetxattr": ["EIO", "EINTR"],
    "fsetxattr": ["ENOSPC", "EIO", "EINTR"],
    "fremovexattr": ["EIO", "EINTR"],
    "fsync": ["EIO", "EINTR"],
    "syncfs": ["EIO", "EINTR"],
    "unshare": ["EPERM", "ENOMEM"],
    "close_range": ["ENOSYS"],
    "clone3": ["EAGAIN"],
}
# Faults that last, from one call on: the space is used up, or the descriptors are.
LASTING = {
    "openat": ["EMFILE"],
    "mkdirat": ["ENOSPC"],
    "symlinkat": ["ENOSPC"],
    "pwrite64": ["ENOSPC", "EIO"],
    "unlinkat": ["EIO"],
    "renameat2": ["EIO"],
    "flock": ["ENOSYS"],
}


class Scenario:
    """A copy, what stands before it, and what may stand after it.

    `{src}` and `{dst}` in `arguments` are the folder with the sources and the one that the copies go to.
    """

    def __init__(self, name, arguments, stand=None, ignored_times=()):
        self.name = name
        self.arguments = arguments
        self.stand = stand or (lambda dst: None)
        self.ignored_times = ignored_times
        self.src = os.path.join(check.WORK, "sweep-src")
        # What a run makes where nothing may stand, the calls that count, and what brings standard input.
        self.made = "app" if name in ("new", "contents", "dry") else None
        self.calls, self.feed = "all", []
        self.is_main = name in ("new", "replace", "merge")

    def area(self, number):
        return os.path.join(check.WORK, f"sweep-{self.name}-{number}")

    def prepare(self, number):
        dst = check.fresh(self.area(number))
        self.stand(dst)
        return dst

    def command(self, number):
        dst = self.area(number)
        return [word.format(src=self.src, dst=dst) for word in self.arguments]

    def contents(self, number):
        return check.contents(self.area(number), self.ignored_times)

    def rehearse(self):
        """Runs it undisturbed; returns how often each call is made, and a problem or None."""
        self.prepare(0)
        self.before = self.contents(0)
        log = os.path.join(check.WORK, f"sweep-{self.name}.log")
        done = check.run(self.command(0), [*self.feed, *check.injector(self.calls, log=log)])
        self.after = self.contents(0)
        counts = collections.Counter(call for call, _ in check.logged(log))
        if done.status != 0:
            return counts, f"status {done.status}: {check.first_line(done.err)}"
        return counts, tree.difference(self.wanted(self), self.after)


def plain_wanted(scenario):
    return {b"app" + (b"/" + path if path else b""): entry for path, entry in below(scenario, "app")}


def below(scenario, name, at=None):
    """The entries of a source, with the first names of hard links as they are at the path `at`."""
    prefix = os.fsencode(at if at is not None else name)
    for path, entry in tree.snapshot(os.path.join(scenario.src, name)).items():
        first = entry.first_name
        yield path, entry._replace(first_name=prefix + b"/" + first if first else prefix)


def make_scenario(name, arguments, wanted, stand=None, ignored_times=()):
    scenario = Scenario(name, arguments, stand, ignored_times)
    scenario.wanted = wanted
    return scenario


def old_app(dst):
    check.clone(os.path.join(check.WORK, "sweep-src", "old"), os.path.join(dst, "app"))


def two_old(dst):
    old_app(dst)
    check.clone(os.path.join(check.WORK, "sweep-src", "old", "lib"), os.path.join(dst, "small"))


def old_file(dst):
    check.clone(os.path.join(check.WORK, "sweep-src", "old", "bin", "app"), os.path.join(dst, "LICENSE"))


def merge_wanted(scenario):
    return tree.overlaid(scenario.before, plain_wanted(scenario))


def two_wanted(scenario):
    small = {b"small" + (b"/" + path if path else b""): entry for path, entry in below(scenario, "small")}
    return {**plain_wanted(scenario), **small}


def contents_wanted(scenario):
    wanted = plain_wanted(scenario)
    root = scenario.before[b"app"]  # the folder stays the one that it was
    kept = {path: entry for path, entry in scenario.before.items() if path.startswith(b"app/")}
    return {**kept, **wanted, b"app": root}


def file_wanted(scenario):
    entry = tree.snapshot(os.path.join(scenario.src, "app"))[b"README"]
    return {b"LICENSE": entry._replace(first_name=b"LICENSE")}


def empty_app(dst):
    os.mkdir(os.path.join(dst, "app"))


SCENARIOS = [
    make_scenario("new", ["-R", "-j1", "{src}/app", "{dst}/app"], plain_wanted),
    make_scenario("replace", ["-RfT", "-j1", "{src}/app", "{dst}/app"], plain_wanted, old_app),
    make_scenario("merge", ["-RT", "--merge", "-j1", "{src}/app", "{dst}/app"], merge_wanted, old_app),
    make_scenario("contents", ["-R", "-j1", "{src}/app/.", "{dst}/app"], contents_wanted, empty_app, [b"app"]),
    make_scenario("two", ["-Rf", "-j1", "{src}/app", "{src}/small", "-t", "{dst}"], two_wanted, two_old),
    # The source's folder has a file of the copy's name, too: it is not the one to copy.
    make_scenario("file", ["-f", "--sync=full", "-j1", "{src}/app/README", "{dst}/LICENSE"], file_wanted, old_file),
    make_scenario("sync", ["-RfT", "--sync=full", "-a", "-j1", "{src}/small", "{dst}/small"],
                  lambda it: {path: entry for path, entry in two_wanted(it).items() if path.startswith(b"small")},
                  lambda dst: check.clone(os.path.join(check.WORK, "sweep-src", "old"), os.path.join(dst, "small"))),
    make_scenario("dry", ["-Rn", "-j1", "-q", "{src}/app", "{dst}/app"], lambda it: it.before),
    make_scenario("threads", ["-RfT", "-j2", "{src}/app", "{dst}/app"], plain_wanted, old_app),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def one_fault(case):
    """Runs one fault and returns what is wrong, or None, and whether the copy came through."""
    name, call, number, action = case
    scenario = BY_NAME[name]
    worker = multiprocessing.current_process()._identity
    area = worker[0] if worker else 0
    dst = scenario.area(area)
    if not os.path.isdir(dst):
        scenario.prepare(area)
    command = scenario.command(area)
    prefix = [*scenario.feed, *check.injector(call, (number, action))]
    done = check.run(command, prefix)
    found = scenario.contents(area)
    # A dry run ends with the removal of its staging folder, and says so when that fails.
    is_removal = name == "dry" and done.err.startswith("bundlecp: remove `")
    problem = judge(scenario, area, done, found, str(number).endswith("+") or is_removal)
    if problem or found != scenario.before:
        scenario.prepare(area)
    return problem and (problem, check.shown([*prefix, "bundlecp", *command])), done.status == 0


def judge(scenario, area, done, found, lasts):
    kept = {path: entry for path, entry in found.items() if check.MARK not in path.split(b"/")[0]}
    if scenario.name == "contents":
        kept = {path: entry for path, entry in found.items() if check.MARK not in path}
    is_clean = len(kept) == len(found)
    if done.status == 0:
        changed = tree.difference(scenario.after, kept)
        if changed:
            return f"exit 0, but {changed}"
        if not is_clean and not done.err:
            return "exit 0 and staging left without a word"
    else:
        problem = check.error_problem(done)
        changed = tree.difference(scenario.before, kept)
        if changed and lasts and not lost(scenario, found):
            # What could not be taken back is not as it was, but nothing of it is gone.
            return problem
        if problem or changed:
            return problem or f"exit {done.status} ({check.first_line(done.err)}), but {changed}"
        if not is_clean and not lasts:
            return f"exit {done.status} ({check.first_line(done.err)}) and staging left behind"
    if not is_clean:
        return next_run_problem(scenario, area, done.status == 0)
    return None


def lost(scenario, found):
    """Whether the content of any old file is nowhere any more."""
    return {entry.content for entry in scenario.before.values()} - {entry.content for entry in found.values()}


def next_run_problem(scenario, area, is_done):
    """What a fault in the removal itself left behind, the next run of the same command removes."""
    if is_done and scenario.made:
        check.remove(os.path.join(scenario.area(area), scenario.made))
        scenario.stand(scenario.area(area))
    again = check.run(scenario.command(area), scenario.feed)
    if again.status != 0:
        return f"after staging was left, the next run ended with {again.status}: {check.first_line(again.err)}"
    changed = tree.difference(scenario.after, scenario.contents(area))
    return changed and f"after staging was left and the next run, {changed}"


def cases_of(scenario, counts):
    """The faults of one scenario: each call, each error; of copies like the first ones, one error only."""
    for call, count in counts.items():
        errors = ERRORS[call] if scenario.is_main else ERRORS[call][:1]
        # Threads share the calls in another way each time.
        step = 3 if scenario.name == "threads" else 1
        for number in range(1, count + 1, step):
            yield from ((scenario.name, call, number, action) for action in errors)
        for action in LASTING.get(call, []) if scenario.is_main else []:
            yield from ((scenario.name, call, f"{number}+", action) for number in range(1, count + 1, 2))


def make_sources():
    src = check.fresh(os.path.join(check.WORK, "sweep-src"))
    tree.make_bundle(os.path.join(src, "app"))
    tree.make_old(os.path.join(src, "old"))
    check.clone(os.path.join(src, "app", "share"), os.path.join(src, "small"))
    check.remove(os.path.join(src, "small", "a", "second"))


def main():
    make_sources()
    wanted = sys.argv[1:] or list(BY_NAME)
    with_cases = []
    for name in wanted:
        counts, problem = BY_NAME[name].rehearse()
        command = check.shown(["bundlecp", *BY_NAME[name].command(0)])
        check.report(f"{name}: an undisturbed run is right", [(problem, command)] if problem else [])
        if BY_NAME[name].after != BY_NAME[name].before or name == "dry":
            with_cases.append((name, list(cases_of(BY_NAME[name], counts))))
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for name, cases in with_cases:
            results = pool.map(one_fault, cases, chunksize=16)
            survived = sum(is_done for _, is_done in results)
            problems = [problem for problem, _ in results if problem]
            check.report(f"{name}: each call fails", problems, f"{len(cases)} faults, {survived} survived")


if __name__ == "__main__":
    main()
