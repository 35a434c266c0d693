"""The same for `extract` and `pack`: faults, kills, signals, a full disk, a reader that goes away, attackers, calls.

The larger trees of the other parts are not needed here: whatever is common to all operations is proved there.
"""

import glob
import multiprocessing
import os
import random
import shlex
import subprocess

import calls
import check
import kill
import sweep
import tree

STEP = 7  # of all moments of a swap; faults meet every call


def source(*names):
    return os.path.join(check.WORK, "archives-src", *names)


def archive(ending):
    return source(f"app.{ending}")


def make_sources():
    check.fresh(source())
    make = tree.Maker(source("app"), 11)
    for name, mode in [("d", 0o755), ("d/in", 0o555), ("e", 0o700), ("empty", 0o755)]:
        make.dir(name, mode)
    make.file("d/in/file", 3000)
    make.file("d/program", 40_000, 0o755)
    make.file("e/large", 3 * tree.MIB)
    make.file("e/sparse", tree.MIB, hole=tree.MIB // 2)
    make.file("e/none", 0)
    make.file("e/marked", 10, xattrs={"user.a": b"1"})
    make.hard_link("e/second", "d/program")
    for name, target in [("d/link", "program"), ("current", "d"), ("d/in/up", "../../e"), ("dangling", "nothing")]:
        make.link(name, target)
    make.finish()
    tree.make_old(source("old"))
    for ending in ("tar.zst", "tar.gz", "tar", "zip", "bcp"):
        done = check.run(["pack", "-q", source("app"), "-o", archive(ending)])
        if done.status != 0:
            raise SystemExit(f"packing {ending} ended with {done.status}: {done.err}")


def old_app(dst):
    check.clone(source("old"), os.path.join(dst, "app"))


def old_archive(name):
    def stand(dst):
        with open(os.path.join(dst, name), "w") as file:
            file.write("an older archive")
        os.utime(os.path.join(dst, name), (1, 1))
    return stand


def scenario(name, arguments, made=None, stand=None, feed=(), times=(), is_main=True):
    one = sweep.make_scenario(name, arguments, lambda self: self.after, stand, times)
    one.made, one.calls, one.feed, one.is_main = made, "all,write", list(feed), is_main
    return one


def feed(path):
    """What brings a file through a pipe to the command behind it."""
    return ["sh", "-c", f"cat {shlex.quote(path)} | \"$@\"", "sh"]


def scenarios():
    into = ["-C", "{dst}"]
    yield scenario("extract tar.zst", ["extract", "-j1", archive("tar.zst"), *into], "app")
    yield scenario("extract tar.gz", ["extract", "-j1", archive("tar.gz"), *into], "app")
    yield scenario("extract zip", ["extract", "-j1", archive("zip"), *into], "app")
    yield scenario("extract bcp", ["extract", "-j1", archive("bcp"), *into], "app")
    yield scenario("extract bcp from a pipe", ["extract", "-j1", "-", *into], "app", feed=feed(archive("bcp")))
    yield scenario("extract zip from a pipe", ["extract", "-j1", "-", *into], "app", feed=feed(archive("zip")))
    yield scenario("extract tar.zst on threads", ["extract", "-j2", archive("tar.zst"), *into], "app", is_main=False)
    yield scenario("extract -f", ["extract", "-f", "-j1", archive("tar.zst"), *into], stand=old_app, is_main=False)
    yield scenario("extract --merge", ["extract", "--merge", "-j1", archive("tar"), *into], stand=old_app,
                   times=[b"app"], is_main=False)
    yield scenario("pack tar.zst", ["pack", "-j1", source("app"), "-o", "{dst}/app.tar.zst"], "app.tar.zst",
                   times=[b"app.tar.zst"])
    yield scenario("pack zip", ["pack", "-j1", source("app"), "-o", "{dst}/app.zip"], "app.zip",
                   times=[b"app.zip"])
    yield scenario("pack bcp", ["pack", "-j1", source("app"), "-o", "{dst}/app.bcp"], "app.bcp",
                   times=[b"app.bcp"])
    yield scenario("pack -f", ["pack", "-f", "-j2", source("app"), "-o", "{dst}/app.tar.zst"],
                   stand=old_archive("app.tar.zst"), times=[b"app.tar.zst"], is_main=False)


def each_call_fails():
    wanted = list(scenarios())
    counted = []
    for one in wanted:
        sweep.BY_NAME[one.name] = one
        counts, problem = one.rehearse()
        # A tree that is extracted with an archive's bits has the source's content: `verify` sees that elsewhere.
        check.report(f"{one.name}: an undisturbed run is right", [(problem, check.shown(one.command(0)))] * bool(problem))
        counted.append((one, counts))
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for one, counts in counted:
            cases = list(sweep.cases_of(one, counts))
            results = pool.map(sweep.one_fault, cases, chunksize=16)
            survived = sum(is_done for _, is_done in results)
            check.report(f"{one.name}: each call fails", [problem for problem, _ in results if problem],
                         f"{len(cases)} faults, {survived} survived")


class Run(kill.Copy):
    """An operation that is interrupted; `{area}` in its arguments is the folder that it works in."""

    def __init__(self, name, arguments, has_old, stand=None):
        super().__init__(name, arguments, has_old)
        self.stand = stand or old_app
        # Into a folder that stands, members are moved one by one: the staging folder can be left, empty.
        self.is_new = False
        self.pause = ["run=sleep 0.12"]

    def prepare(self):
        area = check.fresh(self.area())
        if self.has_old:
            self.stand(area)
        return area

    def again(self):
        first, *rest = self.command()
        return [first, *rest] if "-f" in rest else [first, "-f", *rest]

    def command(self):
        return [word.format(area=self.area()) for word in self.arguments]


def interrupted():
    runs = [
        Run("extract", ["extract", "-q", "-j2", archive("tar.gz"), "-C", "{area}"], False),
        Run("extract-f", ["extract", "-q", "-f", "-j2", archive("tar.zst"), "-C", "{area}"], True),
        Run("pack-f", ["pack", "-q", "-f", "-j2", source("app"), "-o", "{area}/app.tar.zst"], True,
            old_archive("app.tar.zst")),
    ]
    draw = random.Random(13)
    for run in runs:
        kill.COPIES[run.name] = run
        run.rehearse()
        run.before, run.after = (timeless(found) for found in (run.before, run.after))
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for run in runs:
            cases = [(run.name, [(number, "kill=9")], "all") for number in kill.moments_of(draw, run.total, 60)]
            problems = [problem for problem in pool.map(one_kill, cases, chunksize=4) if problem]
            check.report(f"{run.name}: kill -9", problems, f"{len(cases)} of {run.total} calls")
            cases = [(run.name, number, *each) for each in kill.SIGNALS[:2]
                     for number in kill.moments_of(draw, run.total, 20)]
            results = pool.map(one_signal, cases, chunksize=4)
            stopped = sum(is_stopped for _, is_stopped in results)
            check.report(f"{run.name}: SIGINT, SIGTERM", [problem for problem, _ in results if problem],
                         f"{len(cases)} signals, {stopped} stopped it")


def timeless(found):
    """Without the time of an archive, which is when it was packed."""
    return {path: entry._replace(mtime=0) if path == b"app.tar.zst" else entry for path, entry in found.items()}


def with_timeless(judge, case):
    seen, check.contents = check.contents, lambda folder, _=(): timeless(seen(folder))
    try:
        return judge(case)
    finally:
        check.contents = seen


def one_kill(case):
    return with_timeless(kill.one_kill, case)


def one_signal(case):
    return with_timeless(kill.one_signal, case)


def full_disk():
    what = "extract and pack on a full disk"
    mount = check.fresh(os.path.join(check.WORK, "archives-full"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], capture_output=True,
                      check=False).returncode:
        check.skip(what, "no tmpfs can be mounted here")
        return
    problems = []
    try:
        wide = [["extract", "-q", archive(ending), "-C", mount] for ending in ("tar.zst", "tar.gz", "zip", "bcp")]
        wide += [["extract", "-q", archive("tar"), "-C", os.path.join(mount, "new")]]
        wide += [["pack", "-q", source("app"), "-o", os.path.join(mount, f"app.{ending}")] for ending in ("tar", "zip", "bcp")]
        for command in wide:
            done = check.run(command)
            problem = check.error_problem(done) if done.status else "exit 0 on a disk that is too small"
            if not problem and os.listdir(mount):
                problem = f"{os.listdir(mount)} is left"
            if problem:
                problems.append((problem, check.shown(["bundlecp", *command])))
    finally:
        subprocess.run(["umount", mount], check=False)
    check.report(what, problems, f"{len(wide)} runs")


def broken_pipe():
    problems = []
    area = check.fresh(os.path.join(check.WORK, "archives-pipe"))
    for form in ("tar", "tar.gz", "tar.zst", "zip", "bcp"):
        command = check.shown([check.BUNDLECP, "pack", "-q", source("app"), "-o", "-", "--format", form])
        script = f"{{ {command}; echo $? > status; }} | head -c 1000 > /dev/null"
        subprocess.run(["sh", "-c", script], cwd=area, check=False, stderr=subprocess.DEVNULL)
        with open(os.path.join(area, "status")) as file:
            status = file.read().strip()
        if status in ("0", "101") or os.listdir(area) != ["status"]:
            problems.append((f"status {status}, {os.listdir(area)} there", f"{command} | head -c 1000"))
    check.report("pack -o - into a pipe that is closed", problems)


OUTSIDE_FOLDERS = ["d", "d/in", "e"]


def one_swap(case):
    """A folder in staging becomes a link to the outside at one call of an extraction."""
    ending, folder, number = case
    worker = multiprocessing.current_process()._identity
    area = check.fresh(os.path.join(check.WORK, f"archives-swap-{worker[0] if worker else 0}"))
    outside, dst = os.path.join(area, "outside"), os.path.join(area, "dst")
    for path in (os.path.join(outside, "in"), dst):
        os.makedirs(path)
    for name in ("program", "large", "in/file"):
        with open(os.path.join(outside, name), "w") as file:
            file.write("the canary")
    os.symlink(outside, os.path.join(area, "trap"))
    before = tree.snapshot(outside)
    staged = f"{shlex.quote(dst)}/.*.bundlecp-*"
    script = f"{os.environ['FAULTS_EXCHANGE']} {staged}/app/{folder} {area}/trap 2>/dev/null"
    command = ["extract", "-q", "-j1", archive(ending) if ending != "-" else "-", "-C", dst]
    prefix = [*(feed(archive("zip")) if ending == "-" else []), *check.injector("all", (number, f"run={script}"))]
    done = check.run(command, prefix)
    problem = tree.difference(before, tree.snapshot(outside))
    problem = f"outside, {problem}" if problem else check.error_problem(done) if done.status else None
    is_hit = glob.glob(os.path.join(glob.escape(dst), "app", folder)) and os.path.islink(os.path.join(area, "trap")) is False
    return problem and (problem, check.shown([*prefix, "bundlecp", *command])), bool(is_hit) or done.status != 0


def swapped():
    for ending, what in [("tar.zst", "tar.zst"), ("tar.gz", "tar.gz"), ("zip", "zip"), ("-", "zip from a pipe"), ("bcp", "bcp")]:
        one = sweep.BY_NAME[f"extract {what}"]
        log = os.path.join(check.WORK, "archives-swap.log")
        one.prepare(0)
        check.run(one.command(0), [*one.feed, *check.injector("all", log=log)])
        total = check.total_calls(log)
        cases = [(ending, folder, number) for folder in OUTSIDE_FOLDERS for number in range(1, total + 1, STEP)]
        with multiprocessing.Pool(os.cpu_count()) as pool:
            results = pool.map(one_swap, cases, chunksize=8)
        check.report(f"extract {what}: a folder in staging becomes a link to the outside",
                     [problem for problem, _ in results if problem],
                     f"{len(cases)} moments, {sum(is_hit for _, is_hit in results)} took effect")


def traced():
    problems, looked_at = [], 0
    if subprocess.run(["strace", "-V"], capture_output=True, check=False).returncode:
        check.skip("extract and pack: no call takes a path", "there is no strace")
        return
    for one in scenarios():
        dst = one.prepare(0)
        log = os.path.join(check.WORK, "archives-strace.log")
        prefix = [*one.feed, "strace", "-f", "-qq", "-s", "5000", "-o", log]
        done = check.run(one.command(0), prefix)
        with open(log, errors="replace") as file:
            found, count = calls.offences(file.read())
        looked_at += count
        reproduce = check.shown([*prefix, "bundlecp", *one.command(0)])
        if done.status != 0:
            problems.append((f"status {done.status}: {check.first_line(done.err)}", reproduce))
        elif count < (1 if one.name.startswith("pack") else 15):
            problems.append((f"only {count} calls that change something were found in the trace", reproduce))
        problems += [(call, reproduce) for call in found]
        check.remove(dst)
    check.report("extract and pack: no call that changes something takes a path", problems, f"{looked_at} calls read")


def main():
    make_sources()
    traced()
    each_call_fails()
    interrupted()
    full_disk()
    broken_pipe()
    swapped()


if __name__ == "__main__":
    main()
