"""Reads an strace of copies: no call that changes something takes a path once the staging folder is open."""

import os
import re
import subprocess

import check
import tree

# What changes something: the pattern of the whole call, with every string in it.
MUTATING = re.compile(
    r"^(open|openat|openat2|creat|mkdir|mkdirat|mknod|mknodat|symlink|symlinkat|link|linkat|unlink|unlinkat|rmdir"
    r"|rename|renameat|renameat2|chmod|fchmodat|fchmodat2|chown|lchown|fchownat|utime|utimes|futimesat|utimensat"
    r"|truncate|setxattr|lsetxattr|removexattr|lremovexattr|mount|chdir|chroot)\(")
BY_PATH_ONLY = re.compile(r"^(open|creat|mkdir|mknod|symlink|link|unlink|rmdir|rename|chmod|chown|lchown|utime|utimes"
                          r"|truncate|setxattr|lsetxattr|removexattr|lremovexattr|chdir|chroot)\(")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def whole_calls(text):
    """The calls of a trace, with those put together that another thread interrupted."""
    pending = {}
    for line in text.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            pending[thread] = call[:-len("<unfinished ...>")]
        elif call.startswith("<... ") and " resumed>" in call:
            yield pending.pop(thread, "") + call.split(" resumed>", 1)[1]
        else:
            yield call


def offences(text):
    """The offending calls, and how many were looked at."""
    found, looked_at, is_open = [], 0, False
    for call in whole_calls(text):
        if not is_open:
            is_open = call.startswith("openat(") and ".bundlecp-" in call and "O_DIRECTORY" in call
            continue
        if not MUTATING.match(call):
            continue
        if re.match(r"^(open|openat|openat2)\(", call) and "O_CREAT" not in call and "O_TRUNC" not in call \
                and "O_WRONLY" not in call and "O_RDWR" not in call:
            continue
        looked_at += 1
        names = STRING.findall(call)
        if call.startswith(("symlinkat(", "symlink(")):
            names = names[1:]  # the first string is the link's content
        is_handle = call.startswith("fchmodat(AT_FDCWD") and names and re.fullmatch(r"/proc/self/fd/\d+", names[0])
        if BY_PATH_ONLY.match(call) or (any("/" in name for name in names) and not is_handle):
            found.append(call)
        elif re.match(r"^(openat|openat2)\(", call) and "O_NOFOLLOW" not in call:
            found.append(call)
    return found, looked_at


def main():
    place = check.fresh(os.path.join(check.WORK, "calls"))
    tree.make_bundle(os.path.join(place, "app"))
    tree.make_old(os.path.join(place, "old"))
    os.chmod(place, 0o777)
    problems, looked_at = [], 0
    target = os.path.join(place, "target")
    for options in (["-RT"], ["-RfT"], ["-RT", "--merge"], ["-RfT", "-j1", "-a"]):
        check.remove(target)
        if options != ["-RT"]:
            check.clone(os.path.join(place, "old"), target)
        command = [*options, os.path.join(place, "app"), target]
        log = os.path.join(place, "log")
        prefix = ["strace", "-f", "-qq", "-s", "5000", "-o", log]
        done = check.run(command, prefix)
        with open(log, errors="replace") as file:
            found, count = offences(file.read())
        looked_at += count
        reproduce = check.shown([*prefix, "bundlecp", *command])
        if done.status != 0:
            problems.append((f"status {done.status}: {check.first_line(done.err)}", reproduce))
        elif count < 50:
            problems.append((f"only {count} calls that change something were found in the trace", reproduce))
        problems += [(call, reproduce) for call in found]
    check.report("no call that changes something takes a path", problems, f"{looked_at} calls read")
    check.remove(place)


if __name__ == "__main__":
    if subprocess.run(["strace", "-V"], capture_output=True, check=False).returncode:
        check.skip("calls", "there is no strace")
    else:
        main()
