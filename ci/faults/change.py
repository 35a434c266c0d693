"""Changes the source while it is copied, at each moment of the copy.

Each run may fail with an error that names what changed, or end with a copy in which every file is one of its states as
a whole. The change happens at the entry of one system call, which waits for it.
"""

import multiprocessing
import os
import shlex

import check
import tree

SIZE = 9 * tree.MIB


def area(name):
    worker = multiprocessing.current_process()._identity
    return os.path.join(check.WORK, f"change-{worker[0] if worker else 0}", name)


def make_pristine():
    root = check.fresh(os.path.join(check.WORK, "change-src"))
    make = tree.Maker(os.path.join(root, "app"), 5)
    make.dir("d")
    make.dir("d/in")
    make.file("d/in/file", 700_000)
    make.file("d/in/small", 10)
    make.link("d/in/link", "file")
    make.file("large", SIZE)
    make.hard_link("second", "d/in/small")
    make.finish()
    os.mkdir(os.path.join(root, "spare"))
    make = tree.Maker(os.path.join(root, "spare", "dir"), 6)
    make.file("file", 99)
    make.finish()
    with open(os.path.join(root, "spare", "file"), "wb") as file:
        file.write(b"another " * 1000)
    os.symlink("/etc", os.path.join(root, "spare", "link"))


# The change as a shell command in the folder of the source, and the file that the error has to name, or the folder
# that it is in: a change of its names is a change of the folder.
CHANGES = {
    "append to a file": ("echo more >> app/d/in/file", "app/d/in/file"),
    "append to a large file": ("echo more >> app/large", "app/large"),
    "truncate a file": ("truncate -s 100 app/d/in/file", "app/d/in/file"),
    "truncate a large file": ("truncate -s 5000000 app/large", "app/large"),
    "overwrite a file": (
        "for at in 1 80; do dd if=spare/file of=app/d/in/file bs=8000 seek=$at conv=notrunc status=none; done",
        "app/d/in/file"),
    "overwrite a large file": (
        "for at in 1 1100; do dd if=spare/file of=app/large bs=8000 seek=$at conv=notrunc status=none; done",
        "app/large"),
    "overwrite a large file as rsync --inplace does": (
        "touch -r app/large spare/time; for at in 1 1100; do "
        "dd if=spare/file of=app/large bs=8000 seek=$at conv=notrunc status=none; done; "
        "touch -r spare/time app/large", "app/large"),
    "replace a file": ("mv spare/file app/d/in/file", "app/d/in/file"),
    "replace a large file": ("mv spare/file app/large", "app/large"),
    "remove a file": ("rm -f app/d/in/file", "app/d/in/file"),
    "rename a file": ("mv app/d/in/file app/d/in/other", "app/d/in/file"),
    "make a file a link": ("ln -sf /etc/passwd app/d/in/file", "app/d/in/file"),
    "make a file a FIFO": ("rm -f app/d/in/file; mkfifo app/d/in/file", "app/d/in/file"),
    "make a file a folder": ("rm -f app/d/in/file; mkdir app/d/in/file", "app/d/in/file"),
    "retarget a link": ("ln -sf elsewhere app/d/in/link", "app/d/in/link"),
    "make a link a file": ("mv spare/file app/d/in/link", "app/d/in/link"),
    "add a file": ("mv spare/file app/d/in/added", "app/d/in"),
    "add a folder": ("mv spare/dir app/d/in/added", "app/d/in"),
    "remove a folder": ("rm -rf app/d/in", "app/d/in"),
    "replace a folder": ("mv app/d/in spare/in; mv spare/dir app/d/in", "app/d/in"),
    "make a folder a link": ("mv app/d/in spare/in; mv spare/link app/d/in", "app/d/in"),
    "rename a folder above": ("mv app/d app/e", "app/d"),
}


def prepare():
    os.makedirs(area("dst"))
    check.clone(os.path.join(check.WORK, "change-src"), area("src"))


def clean():
    for name in ("src", "dst"):
        check.remove(area(name))


def command(jobs):
    return ["-R", f"-j{jobs}", area("src/app"), area("dst/app")]


def one_change(case):
    change, jobs, number = case
    clean()
    prepare()
    action, name = CHANGES[change]
    before = tree.snapshot(area("src/app"))
    prefix = check.injector("all", (number, f"run=cd {shlex.quote(area('src'))} && {action}"))
    done = check.run(command(jobs), prefix)
    after = tree.snapshot(area("src/app"))
    found = check.contents(area("dst"))
    if done.status == 0:
        problem = torn(before, after, tree.snapshot(area("dst/app")))
    else:
        problem = check.error_problem(done)
        error = check.first_line(done.err)
        if not problem and found:
            problem = f"status {done.status} and `{os.fsdecode(min(found))}` left"
        # Removing one name of a file changes the file under its other name.
        parts = [name, os.path.dirname(name), *(["app/second"] if change == "remove a folder" else [])]
        if not problem and not any(f"{area('src')}/{part}{end}" in error for part in parts for end in "`/"):
            problem = f"an error that doesn't name `{name}`: {error}"
    return problem and (f"{change}: {problem}", check.shown([*prefix, "bundlecp", *command(jobs)])), done.status == 0


def torn(before, after, found):
    """What in the copy is neither of the two states of the source, or None."""
    for path in sorted(before.keys() | after.keys() | found.keys()):
        states = [side.get(path) for side in (before, after)]
        entry = found.get(path)
        if not any(is_state(entry, state) for state in states):
            return f"exit 0, but `{os.fsdecode(path)}` is {entry}, which it never was"
    return None


def is_state(entry, state):
    if entry is None or state is None:
        return entry is state
    # A folder's time may be of a moment between; its names are judged one by one.
    ignored = {"first_name": b"", "mtime": 0 if entry.kind == "dir" else entry.mtime}
    wanted = {"first_name": b"", "mtime": 0 if entry.kind == "dir" else state.mtime}
    return entry._replace(**ignored) == state._replace(**wanted)


def main():
    make_pristine()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for jobs, step in [(1, 7), (2, 29)]:
            clean()
            prepare()
            log = os.path.join(check.WORK, "change.log")
            done = check.run(command(jobs), check.injector("all", log=log))
            total = check.total_calls(log)
            if done.status != 0:
                check.report("the source stands still", [(done.err, check.shown(command(jobs)))])
                return
            cases = [(change, jobs, number) for change in CHANGES for number in range(1, total + 1, step)]
            results = pool.map(one_change, cases, chunksize=8)
            problems = [problem for problem, _ in results if problem]
            whole = sum(is_done for _, is_done in results)
            check.report(f"the source changes during the copy, at every {step}th call, -j{jobs}", problems,
                         f"{len(CHANGES)} kinds of change, {len(cases)} runs, {whole} copies made")
    clean()


if __name__ == "__main__":
    main()
