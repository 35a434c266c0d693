"""Running bundlecp, with and without interference, and saying what came of it.

`ci/faults.sh` gives the places: FAULTS_WORK, FAULTS_BUNDLECP and FAULTS_INJECT.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

import tree

WORK = os.environ["FAULTS_WORK"]
BUNDLECP = os.environ["FAULTS_BUNDLECP"]
INJECT = os.environ["FAULTS_INJECT"]
LIMIT = 20  # seconds, for a run that takes a hundredth of one: more is a hang
MARK = b".bundlecp-"  # what the name of every staging folder has in it
NOBODY = 65534

# A run in the background, or under nohup, ignores signals, and so would what is tested.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


class Run(NamedTuple):
    status: int  # negative for a signal; None for a hang
    out: str
    err: str


def run(arguments, prefix=(), limit=LIMIT, **options):
    """Runs bundlecp with `arguments`, below the command `prefix`."""
    command = [*prefix, BUNDLECP, *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        **options)
    try:
        out, err = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        end_group(process)
        out, err = process.communicate()
        status = None
    return Run(status, out.decode(errors="replace"), err.decode(errors="replace"))


def end_group(process):
    """Ends a process that was started in a session of its own, with all below it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def injector(calls, *rules, log=None):
    """The command that counts `calls` and lets those of each rule, (number, action), meet the action."""
    command = [INJECT, "-c", calls, "-p", WORK]
    for number, action in rules:
        command += ["-n", str(number), "-a", action]
    if log:
        command += ["-l", log]
    return [*command, "--"]


def total_calls(log):
    """How many calls a log of the injector counted."""
    with open(log, errors="replace") as file:
        return int(file.read().rstrip("\n").rsplit("total ", 1)[1])


def logged(log):
    """The calls that the injector met: name and path of each, in order."""
    with open(log, errors="replace") as file:
        lines = [line.rstrip("\n").split(" ", 2) for line in file]
    # A path with a line break in it gives a line of its own, which begins with no number.
    return [(line[1], line[2]) for line in lines if len(line) == 3 and line[0].isdigit()]


def as_nobody():
    """The command prefix that drops root's rights; empty for a user who has none."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def error_problem(done):
    """What is wrong with a run that should have failed as it ought to, or None."""
    if done.status is None:
        return f"hung for {LIMIT} s"
    if done.status not in (2, 3, 4, 5):
        return f"ended with status {done.status}: {first_line(done.err)}"
    lines = done.err.splitlines()
    if not lines or not lines[0].startswith("bundlecp: "):
        return f"failed without an error line: {done.err!r}"
    if len(lines) > 2 or len(lines) == 2 and not lines[1].startswith("hint: "):
        return f"wrote more than an error and a hint: {done.err!r}"
    return None


def first_line(text):
    return text.splitlines()[0] if text else "(nothing said)"


def leftovers(folder):
    """The names of staging folders in `folder`."""
    return sorted(name for name in os.listdir(os.fsencode(folder)) if MARK in name)


def contents(folder, ignored_times=()):
    """The snapshot of all below `folder`, without the folder itself and without the times of `ignored_times`."""
    found = tree.snapshot(folder)
    found.pop(b"", None)
    for path in ignored_times:
        if path in found:
            found[path] = found[path]._replace(mtime=0)
    return found


def remove(path):
    """Removes a tree, also one that an ordinary user made unwritable."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        subprocess.run(["chmod", "-R", "u+rwX", path], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(path)


def fresh(path):
    """Makes `path` an empty folder."""
    remove(path)
    os.makedirs(path)
    return path


def clone(source, target):
    """Copies a tree with what is not under test."""
    subprocess.run(["cp", "-a", source, target], check=True)


def shown(command):
    """A command line as one would type it."""
    return shlex.join(str(word) for word in command)


def report(what, problems, note=""):
    """Prints the line of one check: `problems` are (what happened, how to reproduce)."""
    text = f"faults: {what}" + (f" ({note})" if note else "")
    if not problems:
        say(sys.stdout, f"ok - {text}")
        return
    happened, reproduce = problems[0]
    say(sys.stdout, f"not ok - {text}: {len(problems)} wrong, first: {happened}; reproduce: {reproduce}")
    for happened, reproduce in problems[1:8]:
        say(sys.stderr, f"#   {happened}; reproduce: {reproduce}")


def skip(what, why):
    say(sys.stdout, f"skipped - faults: {what}: {why}")


def say(stream, text):
    """Writes one line at once: both streams may lead to the same place."""
    stream.write(text.replace("\n", "\\n") + "\n")
    stream.flush()
