"""Wrong, hostile and odd input: each with its own message and exit status, and an untouched destination."""

import os
import re
import socket
import stat
import subprocess

import check
import tree


class Case:
    """A command that has to end with `status`, saying what `message` matches; `make` prepares the folder."""

    def __init__(self, name, arguments, status, message, make=None, as_user=False):
        self.name, self.arguments, self.status, self.message = name, arguments, status, message
        self.make, self.as_user = make, as_user


def path(*names):
    return os.path.join(check.WORK, "inputs", *names)


def make_plain():
    os.mkdir(path("app"))
    for name in ("one", "two"):
        with open(path("app", name), "w") as file:
            file.write(name)
    os.symlink("one", path("app", "link"))
    os.mkdir(path("there"))
    with open(path("there", "kept"), "w") as file:
        file.write("kept")


def then(*steps):
    return lambda: [step() for step in steps]


def mode(name, bits):
    return lambda: os.chmod(path(name), bits)


def folder(name):
    return lambda: os.mkdir(path(name))


def link(name, target):
    return lambda: os.symlink(target, path(name))


def fifo(name):
    return lambda: os.mkfifo(path(name))


def device(name):
    return lambda: os.mknod(path(name), 0o600 | stat.S_IFCHR, os.makedev(1, 3))


def unix_socket(name):
    def make():
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(path())  # the length of a socket's path is bounded
            listener.bind(name)
            os.chdir(here)
    return make


def long_names():
    os.makedirs(path("app", "x" * 255))


CASES = [
    Case("a missing source", ["nothing", "new"], 5, r"nothing.*No such file"),
    Case("a missing source in a missing folder", ["nothing/in", "new"], 5, r"nothing.*No such file"),
    Case("a source file that can't be read", ["app", "new"], 5, r"app/one`: Permission denied",
         mode("app/one", 0), True),
    Case("a source folder that can't be read", ["app", "new"], 5, r"app/in`: Permission denied",
         then(folder("app/in"), mode("app/in", 0)), True),
    Case("a copy into itself", ["app", "app/in/new"], 2, r"inside the source", folder("app/in")),
    Case("a copy into itself through a link", ["app", "door/new"], 2, r"inside the source", link("door", "app")),
    Case("a copy onto itself", ["-fT", "app", "app"], 2, r"the same"),
    Case("a copy onto itself through a link", ["-fT", "app", "door/../app"], 2, r"the same", link("door", "there")),
    Case("a replacement of what holds the source", ["-fT", "app/in", "app"], 2, r"source stands inside",
         folder("app/in")),
    Case("the target exists", ["-T", "app", "there"], 5, r"there`: exists already\nhint: -f"),
    Case("the target exists in a folder", ["app", "."], 2, r"the same"),
    Case("the target is a file", ["-T", "app", "there/kept"], 5, r"exists already"),
    Case("the target is a dangling link", ["-T", "app", "door"], 5, r"exists already", link("door", "nowhere")),
    Case("the parent is missing", ["app", "no/such/new"], 5, r"no/such.*No such file.*\nhint: .*mkdir"),
    Case("the parent is a file", ["app", "there/kept/new"], 5, r"there/kept.*Not a directory"),
    Case("the parent can't be written to", ["app", "there/new"], 5, r"there`: Permission denied",
         mode("there", 0o555), True),
    Case("-t is not a folder", ["app", "-t", "there/kept"], 2, r"not a folder"),
    Case("-t is missing", ["app", "-t", "no"], 5, r"no such folder\nhint: .*mkdir"),
    Case("several sources and no folder", ["app/one", "app/two", "new"], 5, r"no such folder"),
    Case("two sources of one name", ["app/one", "there/one", "-t", "new"], 2, r"two sources",
         then(folder("new"), lambda: open(path("there", "one"), "w").close())),
    Case("no destination", ["app"], 2, r"no destination"),
    Case("-L", ["-RL", "app", "new"], 2, r"never followed\nhint: "),
    Case("a FIFO in the source", ["app", "new"], 4, r"app/pipe`: .*FIFO.*\nhint: .*--skip-special", fifo("app/pipe")),
    Case("a socket in the source", ["app", "new"], 4, r"app/socket`: .*socket", unix_socket("app/socket")),
    Case("a FIFO as the source", ["pipe", "new"], 4, r"pipe`: .*FIFO", fifo("pipe")),
    Case("--merge of a folder over a file", ["-RT", "--merge", "app", "there"], 5, r"there/one`: .*\nhint: ",
         folder("there/one")),
    Case("--merge through a link", ["-RT", "--merge", "app", "there"], 5, r"there/in`: ",
         then(folder("app/in"), folder("other"), link("there/in", "../other"))),
    Case("--merge of a folder onto a link", ["-RT", "--merge", "app", "door"], 5, r"door`: ", link("door", "there")),
    Case("-f and --merge", ["-f", "--merge", "app", "there"], 2, r"cannot be used with"),
    Case("--reflink=always where there is none", ["--reflink=always", "app", "/dev/shm/bundlecp-faults-new"], 3,
         r"reflink .*\nhint: "),
    Case("an impossible name", ["app", "x" * 300], 3, r"File name too long|name too long"),
    Case("an unknown option", ["--nonsense", "app", "new"], 2, r"unexpected argument"),
]
FINE = [
    Case("a link loop", ["app", "new"], 0, "", then(link("app/a", "b"), link("app/b", "a"), link("app/self", "self"))),
    Case("a folder of mode 0", ["app", "new"], 0, "", then(folder("app/in"), mode("app/in", 0))),
    Case("names of 255 bytes", ["app", "new"], 0, "", long_names),
    Case("a target's name of 255 bytes", ["app", "n" * 255], 0, ""),
    Case("--skip-special", ["--skip-special", "app", "new"], 0, "", fifo("app/pipe")),
    Case("a file under another name", ["app/one", "new"], 0, ""),
    Case("a file under the name of its neighbour", ["app/one", "there/two"], 0, ""),
    Case("a link under another name", ["-R", "app/link", "new"], 0, ""),
    Case("a dangling link under its own name", ["-R", "app/gone", "there"], 0, "", link("app/gone", "nowhere")),
    Case("read-only folders into a folder, as an ordinary user", ["-R", "app/.", "there"], 0, "",
         then(folder("app/in"), mode("app/in", 0o555)), True),
    Case("read-only folders by --merge, as an ordinary user", ["-RT", "--merge", "app", "there"], 0, "",
         then(folder("app/in"), mode("app/in", 0o555)), True),
    Case("a read-only root over another, as an ordinary user", ["-RfT", "app", "there"], 0, "",
         then(mode("app", 0o555), mode("there", 0o555)), True),
]


def prepare(case):
    check.fresh(path())
    make_plain()
    if case.make:
        case.make()
    if case.as_user and os.geteuid() == 0:
        subprocess.run(["chown", "-R", str(check.NOBODY), path()], check=True)


def look():
    """All that stands there, read as whoever may read it; modes come first, because a user's copy may hide things."""
    return check.contents(path(), [b"there"])


def run_case(case):
    prefix = check.as_nobody() if case.as_user else []
    command = ["-R", *case.arguments] if "-R" not in case.arguments[0] else case.arguments
    return check.run(command, prefix, cwd=path()), check.shown([*prefix, "bundlecp", *command])


def refused(case):
    prepare(case)
    before = look()
    done, reproduce = run_case(case)
    problem = None
    if done.status != case.status:
        problem = f"status {done.status}, wanted {case.status}: {check.first_line(done.err)}"
    elif not re.search(case.message, done.err):
        problem = f"the message doesn't match `{case.message}`: {done.err.strip()!r}"
    else:
        problem = tree.difference(before, look())
    check.report(f"input: {case.name}", [(problem, reproduce)] if problem else [], f"exit {case.status}")


def accepted(case):
    prepare(case)
    done, reproduce = run_case(case)
    source = case.arguments[-2].removesuffix("/.")
    problem = None
    if done.status != 0:
        problem = f"status {done.status}: {check.first_line(done.err)}"
    else:
        target = path(case.arguments[-1])
        if case.name.startswith("a dangling link"):
            target = os.path.join(target, "gone")
        left, right = tree.snapshot(path(source)), tree.snapshot(target)
        left = {key: entry for key, entry in left.items() if entry.kind != "special"}
        if "there" in case.arguments[-1:]:
            left.pop(b"", None), right.pop(b"", None)
            right = {key: entry for key, entry in right.items() if key in left}
        problem = tree.difference(left, right)
    check.report(f"input: {case.name} is fine", [(problem, reproduce)] if problem else [])


def device_case():
    try:
        os.makedirs(path(), exist_ok=True)
        device("probe")()
    except PermissionError:
        check.skip("input: a device in the source", "this user can't make one")
        return
    refused(Case("a device in the source", ["app", "new"], 4, r"app/null`: .*device", device("app/null")))


def full_disk():
    what = "input: a full disk"
    mount = check.fresh(path("full"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", mount], capture_output=True).returncode:
        check.skip(what, "this user can't mount")
        return
    try:
        big, many = check.fresh(path("big")), check.fresh(path("many"))
        for number in range(3):
            with open(os.path.join(big, f"file{number}"), "wb") as file:
                file.write(os.urandom(4 * tree.MIB))
        for number in range(3000):
            with open(os.path.join(many, f"file{number}"), "wb") as file:
                file.write(b"x" * 4096)
        clone_old(mount)
        before = check.contents(mount)
        for source, options in [(big, ["-RfT"]), (big, ["-RT", "--merge"]), (many, ["-RfT", "-j2"])]:
            command = [*options, source, os.path.join(mount, "app")]
            # What is free is known beforehand; a disk that fills up meanwhile is what the kernel says.
            for rules in ([], [(1, f"run=head -c 7M /dev/zero > {mount}/ballast 2>/dev/null")]):
                prefix = check.injector("pwrite64", *rules) if rules else []
                done = check.run(command, prefix)
                ballast = os.path.join(mount, "ballast")
                if os.path.exists(ballast):
                    os.unlink(ballast)
                problem = f"status {done.status}, wanted 3: {check.first_line(done.err)}" if done.status != 3 else None
                problem = problem or tree.difference(before, check.contents(mount))
                problems = [(problem, check.shown([*prefix, "bundlecp", *command]))] if problem else []
                when = "that fills up" if rules else "that is too small"
                what = f"input: a disk {when}, {os.path.basename(source)} {' '.join(options)}"
                check.report(what, problems, "exit 3")
    finally:
        subprocess.run(["umount", mount], check=True)


def clone_old(mount):
    make = tree.Maker(os.path.join(mount, "app"), 12)
    make.file("kept", 1000)
    make.finish()


def output_and_streams():
    """What can't be said must not turn a copy that stands into a failure, nor a failure into silence."""
    for name, redirect in [("standard output is full", ">/dev/full"), ("standard error is full", "2>/dev/full"),
                           ("both are closed", ">&- 2>&-"), ("standard input is closed", "<&-")]:
        case = Case(name, ["app", "new"], 0, "")
        prepare(case)
        command = f"{check.shown([check.BUNDLECP, '-Rv', path('app'), path('new')])} {redirect}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=check.LIMIT, check=False)
        stands = not tree.difference(tree.snapshot(path("app")), tree.snapshot(path("new")))
        problem = None
        if (done.returncode == 0) != stands or done.returncode not in (0, 2, 3, 4, 5):
            problem = f"status {done.returncode}, and the copy {'stands' if stands else 'is not there'}"
        check.report(f"input: {name}", [(problem, command)] if problem else [])


def main():
    os.chmod(check.WORK, 0o755)
    for case in CASES:
        refused(case)
    device_case()
    for case in FINE:
        accepted(case)
    full_disk()
    output_and_streams()
    check.remove(path())


if __name__ == "__main__":
    main()
