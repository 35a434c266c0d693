"""Two runs with the same target: the second one starts, and ends, at one call of the first.

So every interleaving of a whole run with every step of another is tried, and none depends on a clock.
"""

import multiprocessing
import os
import shlex
import threading

import check
import tree


class Pair:
    """What both runs do; `races` of a pair without -f have exactly one winner."""

    def __init__(self, name, arguments, has_old):
        self.name, self.arguments, self.has_old = name, arguments, has_old

    def area(self):
        worker = multiprocessing.current_process()._identity
        return os.path.join(check.WORK, f"runs-{self.name}-{worker[0] if worker else 0}")

    def prepare(self):
        area = check.fresh(self.area())
        os.mkdir(os.path.join(area, "dst"))
        if self.has_old:
            check.clone(source("old"), os.path.join(area, "dst", "app"))
        return area

    def command(self):
        return [*self.arguments, source("app"), os.path.join(self.area(), "dst", "app")]


PAIRS = {
    "new": Pair("new", ["-RT", "-j1"], False),
    "replace": Pair("replace", ["-RfT", "-j1"], True),
}


def source(name):
    return os.path.join(check.WORK, "runs-src", name)


def make_sources():
    check.fresh(os.path.join(check.WORK, "runs-src"))
    for name, seed, count in [("app", 8, 5), ("old", 9, 3)]:
        make = tree.Maker(source(name), seed)
        for folder in ("a", "b", "b/c"):
            make.dir(folder)
            for number in range(count):
                make.file(f"{folder}/file{number}", 500)
            make.link(f"{folder}/link", "file1")
        make.finish()


def one_meeting(case):
    name, number, is_locked = case
    pair = PAIRS[name]
    area = pair.prepare()
    command = pair.command()
    # The second run, its status, and whether staging of the first stood before and after it.
    staging = f"ls -d {shlex.quote(area)}/dst/.app.bundlecp-* 2>/dev/null"
    second = check.shown([check.BUNDLECP, *command])
    script = (f"{staging} > {area}/before; {second} > /dev/null 2> {area}/error; echo $? > {area}/status; "
              f"{staging} > {area}/after; true")
    prefix = check.injector("all", (number, f"run={script}"))
    done = check.run(command, prefix)
    problem = problem_of(pair, area, done, is_locked)
    return problem and (problem, check.shown([*prefix, "bundlecp", *command]))


def problem_of(pair, area, done, is_locked):
    if not os.path.exists(os.path.join(area, "status")):
        return None  # a run of fewer calls than the one that was counted
    status, error = int(read(area, "status")), read(area, "error")
    before, after = (read(area, name).split() for name in ("before", "after"))
    if pair.name == "new":
        if is_locked and not set(before) <= set(after):
            return "the second run removed the staging folder of the first"
        if sorted([done.status == 0, status == 0]) != [False, True]:
            return f"the runs ended with {done.status} and {status}: {check.first_line(done.err)}, {error.strip()}"
        loser = done.err if done.status else error
        if "exists already" not in loser:
            return f"the loser doesn't say that the target exists: {loser.strip()}"
    elif done.status != 0 or status != 0:
        return f"the runs ended with {done.status} and {status}: {check.first_line(done.err)}, {error.strip()}"
    left = check.leftovers(os.path.join(area, "dst"))
    if left:
        return f"{left[0].decode()} is left"
    return tree.difference(tree.snapshot(source("app")), tree.snapshot(os.path.join(area, "dst", "app")))


def read(area, name):
    with open(os.path.join(area, name)) as file:
        return file.read()


def takes_back_beside_another():
    """The second of two targets can't be published: the first is taken back, though another run was there meanwhile."""
    area = check.fresh(os.path.join(check.WORK, "runs-two"))
    for name in ("app", "old"):
        check.clone(source("old"), os.path.join(area, name))
    before = check.contents(area)
    other = check.shown([check.BUNDLECP, "-Rn", "-f", "-q", source("app"), "-t", area])
    command = ["-Rf", "-j1", source("app"), source("old"), "-t", area]
    prefix = check.injector("renameat2", (2, f"run={other}"), (2, "EIO"))
    done = check.run(command, prefix)
    problem = check.error_problem(done) if done.status else "exit 0, though the second could not be published"
    problem = problem or tree.difference(before, check.contents(area))
    problems = [(f"exit {done.status}, but {problem}", check.shown([*prefix, "bundlecp", *command]))] if problem else []
    check.report("another run between a publication and its taking back", problems)


def race():
    """Eight runs at once, again and again: one wins."""
    problems = []
    area = check.fresh(os.path.join(check.WORK, "runs-race"))
    command = ["-RT", "-j2", source("app"), os.path.join(area, "app")]
    for _ in range(20):
        check.fresh(area)
        results = []
        threads = [threading.Thread(target=lambda: results.append(check.run(command))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = sum(done.status == 0 for done in results)
        wrong = [done for done in results if done.status != 0 and "exists already" not in done.err]
        problem = None
        if winners != 1 or wrong:
            problem = f"{winners} winners; {check.first_line(wrong[0].err) if wrong else 'no other error'}"
        elif len(os.listdir(area)) != 1:
            problem = f"{os.listdir(area)} stand there"
        if problem:
            problems.append((problem, "8 at once: " + check.shown(["bundlecp", *command])))
    check.report("eight runs race to one target: one wins, the others say that it exists", problems, "20 races")


def main():
    make_sources()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for pair in PAIRS.values():
            pair.prepare()
            log = os.path.join(check.WORK, "runs.log")
            check.run(pair.command(), check.injector("all", log=log))
            total = check.total_calls(log)
            # Before it is locked, a staging folder may be taken for a forgotten one: its run makes another.
            locked = 1 + [call for call, _ in check.logged(log)].index("flock")
            cases = [(pair.name, number, number > locked) for number in range(1, total + 1, 2)]
            problems = [problem for problem in pool.map(one_meeting, cases, chunksize=8) if problem]
            what = f"{pair.name}: a second run at a call of the first"
            check.report(what, problems, f"{len(cases)} of {total} calls")
    takes_back_beside_another()
    race()


if __name__ == "__main__":
    main()
