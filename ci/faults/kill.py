"""Ends a copy at any moment: killed, or asked to stop.

A moment is the entry of one system call of the run, drawn at random over the whole run, from the first look at the
paths to the last removal: times on a clock would all fall into the longest part.
"""

import multiprocessing
import os
import random
import signal

import check
import tree

MOMENTS = 200
SIGNALS = [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)]


def source():
    return os.path.join(check.WORK, "kill-src")


def make_sources():
    src = check.fresh(source())
    new = os.path.join(src, "new")
    tree.make_bundle(new)
    for folder in range(10):
        make_many(os.path.join(new, f"many{folder}"), 20, folder)
    make_many(os.path.join(src, "old"), 150, 99)


def make_many(path, count, seed):
    make = tree.Maker(path, seed)
    for number in range(count):
        make.file(f"file{number}", 100 * number)
    make.link("link", "file1")
    make.finish()


class Copy:
    """A copy that is interrupted: `arguments` before source and target, and whether an old tree stands there."""

    def __init__(self, name, arguments, has_old):
        self.name, self.arguments, self.has_old = name, arguments, has_old
        self.is_new = not has_old
        # What follows a signal at the same call: a run of few files is over before it looks for one.
        self.pause = []

    def area(self):
        worker = multiprocessing.current_process()._identity
        return os.path.join(check.WORK, f"kill-{self.name}-{worker[0] if worker else 0}")

    def prepare(self):
        area = check.fresh(self.area())
        if self.has_old:
            check.clone(os.path.join(source(), "old"), os.path.join(area, "app"))
        return area

    def command(self):
        return [*self.arguments, os.path.join(source(), "new"), os.path.join(self.area(), "app")]

    def again(self):
        """The next run, which puts right what a killed one left."""
        return self.command()

    def rehearse(self):
        area = self.prepare()
        self.before = check.contents(area)
        log = os.path.join(check.WORK, f"kill-{self.name}.log")
        done = check.run(self.command(), check.injector("all", log=log))
        self.after = check.contents(area)
        if done.status != 0:
            raise SystemExit(f"an undisturbed `{check.shown(self.command())}` ended with {done.status}: {done.err}")
        self.total = check.total_calls(log)


COPIES = {
    "new": Copy("new", ["-RT", "-j2"], False),
    "replace": Copy("replace", ["-RfT", "-j2"], True),
    "merge": Copy("merge", ["-RT", "--merge", "-j2"], True),
    "parked": Copy("parked", ["-RfT", "-j2"], True),
}


def without_staging(found):
    return {path: entry for path, entry in found.items() if check.MARK not in path.split(b"/")[0]}


def one_kill(case):
    name, rules, calls = case
    copy = COPIES[name]
    area = copy.prepare()
    prefix = check.injector(calls, *rules)
    done = check.run(copy.command(), prefix)
    problem = problem_after_kill(copy, area, done)
    return problem and (problem, check.shown([*prefix, "bundlecp", *copy.command()]))


def problem_after_kill(copy, area, done):
    if done.status not in (0, 128 + signal.SIGKILL):
        return f"status {done.status}: {check.first_line(done.err)}"
    found = without_staging(check.contents(area))
    if copy.name == "merge":
        problem = mixed(copy, found)
        if problem:
            return problem
    elif tree.difference(copy.before, found) and tree.difference(copy.after, found) and not is_parked(copy, area):
        return f"neither the old nor the new tree stands there: {tree.difference(copy.before, found)}"
    if copy.is_new and found:
        if check.leftovers(area):
            return "the copy is published, and its staging is left"
        return None
    again = check.run(copy.again())
    if again.status != 0:
        return f"the next run ended with {again.status}: {check.first_line(again.err)}"
    if check.leftovers(area):
        return f"the next run left {check.leftovers(area)[0].decode()}"
    problem = tree.difference(copy.after, check.contents(area))
    return problem and f"after the next run {problem}"


def is_parked(copy, area):
    """Whether nothing stands at the target, and the old tree, whole, beside it."""
    if copy.name != "parked" or os.path.lexists(os.path.join(area, "app")):
        return False
    old = tree.snapshot(os.path.join(source(), "old"))
    return any(tree.snapshot(os.path.join(os.fsencode(area), name)) == old for name in check.leftovers(area))


def mixed(copy, found):
    """A merge goes file by file: each is the old one or the new one."""
    for path, entry in found.items():
        sides = [side[path] for side in (copy.before, copy.after) if path in side]
        is_known = any(entry.kind == side.kind and entry.content == side.content for side in sides)
        if not is_known:
            return f"`{os.fsdecode(path)}` is neither the old nor the new one"
    lost = copy.before.keys() - found.keys()
    return f"`{os.fsdecode(min(lost))}` is gone" if lost else None


def one_signal(case):
    name, number, signal_name, wanted = case
    copy = COPIES[name]
    area = copy.prepare()
    rules = [f"kill={int(getattr(signal, signal_name))}", *copy.pause]
    prefix = check.injector("all", *((number, action) for action in rules))
    done = check.run(copy.command(), prefix)
    found = check.contents(area)
    problem = None
    if done.status == 0:
        problem = tree.difference(copy.after, found)
    elif done.status == wanted:
        problem = tree.difference(copy.before, found)
        if not problem and len(done.err.splitlines()) != 1:
            problem = f"{done.err!r} on standard error, wanted one line"
    else:
        problem = f"{check.first_line(done.err)}"
    problem = problem and f"status {done.status}, {problem}"
    return problem and (problem, check.shown([*prefix, "bundlecp", *copy.command()])), done.status != 0


def stops_within_one_file():
    """A signal ends the copy of a single large file on a single thread, long before the file is copied."""
    area = check.fresh(os.path.join(check.WORK, "kill-long"))
    big = os.path.join(area, "big")
    os.mkdir(os.path.join(area, "to"))
    with open(big, "wb") as file:
        for _ in range(64):
            file.write(os.urandom(tree.MIB))
    log = os.path.join(area, "log")
    # Each block waits, so that the copy takes seconds and the answer to the signal a fraction of one.
    rules = [("1+", "run=sleep 0.03"), (5, f"kill={int(signal.SIGINT)}")]
    command = ["-j1", "--reflink=never", big, os.path.join(area, "to")]
    prefix = check.injector("pwrite64", *rules, log=log)
    done = check.run(command, prefix)
    reproduce = check.shown([*prefix, "bundlecp", *command])
    blocks, whole = check.total_calls(log), 64 * tree.MIB // (256 * 1024)
    problems = []
    if done.status != 130:
        problems.append((f"status {done.status}", reproduce))
    elif blocks > whole // 2:
        problems.append((f"{blocks} of {whole} blocks were still written after the signal", reproduce))
    check.report("SIGINT ends a copy in the middle of a large file, with -j1", problems)
    check.remove(area)


def keeps_ignored_signals():
    """What the caller ignores (`nohup`) stays ignored."""
    copy = COPIES["new"]
    problems = []
    for name, _ in SIGNALS:
        copy.prepare()
        prefix = ["sh", "-c", f"trap '' {name[3:]}; exec \"$@\"", "sh"]
        prefix += check.injector("mkdirat", (5, f"kill={int(getattr(signal, name))}"))
        done = check.run(copy.command(), prefix)
        if done.status != 0:
            problems.append((f"{name} that was ignored ended the run with {done.status}",
                             check.shown([*prefix, "bundlecp", *copy.command()])))
    check.report("signals that the caller ignores, as nohup does, stay ignored", problems)


def without_exchange():
    """Where the file system can't swap two names, a kill between the two renames is put right by the next run."""
    copy = COPIES["parked"]
    calls = "renameat2,renameat,unlinkat"
    copy.prepare()
    log = os.path.join(check.WORK, "kill-exchange.log")
    check.run(copy.command(), check.injector(calls, log=log))
    names = [call for call, _ in check.logged(log)]
    at = names.index("renameat2") + 1
    # After the first rename nothing has the name for a moment: the old tree must not be lost then.
    cases = [("parked", [(at, "EINVAL"), (at + step, "kill=9")], calls) for step in range(1, 12)]
    problems = [problem for problem in map(one_kill, cases) if problem]
    check.report("without RENAME_EXCHANGE: kill -9 around the publication", problems, f"{len(cases)} kills")


def main():
    make_sources()
    draw = random.Random(7)
    for copy in COPIES.values():
        copy.rehearse()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for name, moments in [("new", MOMENTS), ("replace", MOMENTS), ("merge", MOMENTS // 4)]:
            total = COPIES[name].total
            cases = [(name, [(number, "kill=9")], "all") for number in moments_of(draw, total, moments)]
            problems = [problem for problem in pool.map(one_kill, cases, chunksize=4) if problem]
            check.report(f"{name}: kill -9", problems, f"{len(cases)} of {total} calls")
        for name in ("new", "replace", "merge"):
            total = COPIES[name].total
            cases = [(name, number, *each) for each in SIGNALS for number in moments_of(draw, total, 30)]
            results = pool.map(one_signal, cases, chunksize=4)
            problems = [problem for problem, _ in results if problem]
            stopped = sum(is_stopped for _, is_stopped in results)
            check.report(f"{name}: SIGINT, SIGTERM, SIGHUP", problems, f"{len(cases)} signals, {stopped} stopped it")
    stops_within_one_file()
    keeps_ignored_signals()
    without_exchange()


def moments_of(draw, total, count):
    """Moments over the whole run, and the last ones, where the new tree is published."""
    return sorted(draw.sample(range(1, total + 1), min(count, total)))


if __name__ == "__main__":
    main()
