"""Starts of an executable held against starts of the folder that it was made of.

starts.py CHECK FOLDER APP [ARGUMENT...]: prints what is wrong, and exits 1 if anything is. Reads BUNDLECP, the command.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUNDLECP = os.environ["BUNDLECP"]
KEY = rb"[0-9a-f]{32}"


class Program:
    """The folder and the executable, with a cache and a working folder of their own."""

    def __init__(self, folder, app):
        self.folder, self.app = os.path.realpath(folder), os.path.realpath(app)
        self.name = os.path.basename(self.folder)
        self.inside = os.path.join(self.folder, self.name)
        self.room = tempfile.mkdtemp(dir=os.path.dirname(self.app))
        self.cache = os.path.join(self.room, "cache")
        self.work = os.path.join(self.room, "work")
        os.mkdir(self.work)

    def environment(self, **more):
        usual = {"HOME": self.room, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen"}
        return {**usual, "BUNDLECP_CACHE_DIR": self.cache, **more}

    def start(self, which, *arguments, **more):
        """A start as a process that runs: both are called by the same name, in the same folder."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        options["env"] = self.environment(**options.pop("variables", {}))
        return subprocess.Popen(["./called so", *arguments], executable=which, cwd=self.work, **options)

    def ran(self, which, *arguments, **more):
        """What came of a start: status or signal, and what it printed, with its folder named alike."""
        child = self.start(which, *arguments, **more)
        out, err = child.communicate(timeout=60)
        return child.returncode, self.alike(out), self.alike(err)

    def alike(self, text):
        if text is None:
            return None
        unpacked = re.escape(self.cache.encode()) + b"/(" + KEY + rb"|\.[^/]*)" + b"/" + self.name.encode()
        text = re.sub(unpacked, b"FOLDER", text).replace(self.folder.encode(), b"FOLDER")
        # Each process has its own number.
        return re.sub(rb"\[PYI-\d+", b"[PYI-", text)

    def unpacked(self):
        """The one folder in the cache."""
        found = [name for name in os.listdir(self.cache) if re.fullmatch(KEY, name.encode())]
        if len(found) != 1:
            sys.exit(f"{len(found)} folders are in the cache: {os.listdir(self.cache)}")
        return os.path.join(self.cache, found[0], self.name)

    def verified(self):
        ran = subprocess.run([BUNDLECP, "verify", self.folder, self.unpacked()], capture_output=True, text=True)
        return [] if ran.returncode == 0 else [ran.stdout + ran.stderr]

    def command(self, *arguments):
        ran = subprocess.run([BUNDLECP, *arguments], capture_output=True, text=True, env=self.environment())
        if ran.returncode:
            sys.exit(f"bundlecp {' '.join(arguments)}: {ran.returncode} {ran.stderr}")
        return ran.stdout


def alike(program, *arguments, wanted=None, **more):
    """The first start and the second do what the folder's does, which is what is `wanted`."""
    want = program.ran(program.inside, *arguments, **more)
    print("the folder:", want)
    wrong = [] if wanted is None or want[0] == wanted else [f"the folder's start ended with {want[0]}"]
    shutil.rmtree(program.cache, ignore_errors=True)
    for start in ["first", "second"]:
        got = program.ran(program.app, *arguments, **more)
        if got != want:
            wrong.append(f"{start}: {got}")
    return wrong


# ---- what a bundle does, which knows of no arguments

ODD = ["a b", "", "--", "-x", "'\"$(`\\", b"caf\xe9\xff", "\u00e9\u4e2d", "x" * 100_000, "line\nline"]


def prints(program):
    return alike(program, *ODD, wanted=0) + program.verified()


def full(program):
    """Nobody takes what it prints: the interpreter says so on standard error."""
    with open("/dev/full", "w") as device:
        return alike(program, stdout=device)


def stopped(program):
    """A signal from outside comes while it waits for somebody to take what it prints."""
    wrong = []
    for number in [signal.SIGTERM, signal.SIGSEGV]:
        shutil.rmtree(program.cache, ignore_errors=True)
        seen = [stopped_by(program, which, number) for which in [program.inside, program.app, program.app]]
        print(number, seen)
        if seen != [(-number, b"")] * 3:
            wrong.append(f"{number}: {seen}")
    return wrong


def stopped_by(program, which, number):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    child = program.start(which, stdout=writer)
    os.close(writer)
    for _ in range(1000):
        with open(f"/proc/{child.pid}/wchan") as file:
            if "pipe" in file.read():
                break
        time.sleep(0.01)
    child.send_signal(number)
    err = child.communicate(timeout=60)[1]
    os.close(reader)
    return child.returncode, program.alike(err)


def aborts(program):
    return alike(program, variables={"QT_QPA_PLATFORM": "nonsense"}, wanted=-signal.SIGABRT)


# ---- what a program with arguments does


def arguments(program):
    return alike(program, "told", *ODD, wanted=0)


def status(program):
    return alike(program, "ended", "3", wanted=3) + alike(program, "raised", wanted=1)


def signals(program):
    numbers = [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT]
    return [each for number in numbers for each in alike(program, "killed", str(int(number)), wanted=-number)]


def says(program, expected, *arguments):
    """A first start and a second one print this, and leave one folder."""
    wrong = []
    shutil.rmtree(program.cache, ignore_errors=True)
    for start in ["first", "second"]:
        got = program.ran(program.app, *arguments)
        print(start, got)
        if got != (0, expected.encode(), b""):
            wrong.append(f"{start}: {got}")
    return wrong + program.verified()


def pool(program, method):
    return says(program, "[0, 1, 4, 9, 16, 25, 36, 49] True\nFalse 42\n", "pool", method)


def again(program):
    return says(program, "True \n", "again")


def become(program, what):
    return says(program, "FOLDER/_internal 42\n", "become", what)


def restart(program, *variables):
    report = os.path.join(program.room, "report")
    wrong = []
    for start in ["first", "second"]:
        got = program.ran(program.app, "restart", report, *variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = program.alike(answer(report))
        print(start, got, text)
        if got[0] != 0 or text != b"FOLDER/_internal 42":
            wrong.append(f"{start}: {got}, the new one: {text}")
    return wrong + program.verified()


def answer(path):
    """What a process that nobody waits for has written."""
    for _ in range(1500):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            text = file.read()
            os.unlink(path)
            return text
        time.sleep(0.01)
    return b"nothing in 15 s"


def in_use(program, *how):
    """While it runs, cleaning leaves its folder; it goes when it has ended."""
    report, until = (os.path.join(program.room, name) for name in ["report", "until"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = program.start(program.app, "stay", report, until, *how, **quiet)
    number = int(answer(report))
    wrong = []
    if how and child.wait(timeout=30) != 0:
        wrong.append(f"the daemon's parent ended with {child.returncode}")
    open_here = [os.readlink(f"/proc/{number}/fd/{each}") for each in os.listdir(f"/proc/{number}/fd")]
    holds = any(each.startswith(program.cache) for each in open_here)
    if holds == bool(how):
        wrong.append(f"open: {open_here}")
    for _ in range(2):
        print(program.command("cache", "clean"))
        wrong += program.verified()
    with open(until, "w"):
        pass
    text = program.alike(answer(until + ".answer"))
    child.wait(timeout=30)
    while os.path.exists(f"/proc/{number}/exe") and is_alive(number):
        time.sleep(0.01)
    if text != b"FOLDER/_internal 42":
        wrong.append(f"after cleaning it had {text}")
    print(program.command("cache", "clean"))
    left = os.listdir(program.cache)
    return wrong + [f"left after its end: {left}"] * bool(left)


def is_alive(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def outside(program):
    """The program that it starts by `clean-env` has the user's own variables, and itself what the folder's has."""
    wrong = []
    for variables in [{}, {"LD_LIBRARY_PATH": "/user/lib:/user/lib64"}]:
        own = variables.get("LD_LIBRARY_PATH", "none")
        inside = f"FOLDER/_internal:{own} {own}" if variables else "FOLDER/_internal none"
        want = (0, f"{own} none []\n{inside}\n".encode(), b"")
        for which in [program.inside, program.app, program.app]:
            got = program.ran(which, "outside", BUNDLECP, variables=variables)
            if got != want:
                wrong.append(f"{which}: {got} instead of {want}")
    return wrong


def ephemeral(program):
    """What is unpacked for each start only does the same, and is gone when the program has ended."""
    wrong = []
    calls = [["told"], ["ended", "3"], ["pool", "spawn"], ["again"], ["become", "program"]]
    for call in calls + [["killed", str(int(number))] for number in [signal.SIGTERM, signal.SIGSEGV]]:
        os.makedirs(program.cache, 0o700, exist_ok=True)
        got, want = (program.ran(which, *call) for which in [program.app, program.inside])
        if got != want:
            wrong.append(f"{call}: {got} instead of {want}")
        wrong += [f"{call}: left {os.listdir(program.cache)}"] * bool(os.listdir(program.cache))
    return wrong


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    check, folder, app, *more = sys.argv[1:]
    program = Program(folder, app)
    wrong = globals()[check](program, *more)
    shutil.rmtree(program.room)
    sys.exit("\n".join(wrong[:15]) or 0)


if __name__ == "__main__":
    main()
