"""Extracts each archive of a corpus and looks at what became of everything around."""

import csv
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading

WORK, PATTERN = sys.argv[1], sys.argv[2]
BUNDLECP = os.path.join(WORK, "bin", "bundlecp")
RUN = os.path.join(WORK, "run")
DESTINATION = os.path.join(RUN, "above", "destination")
SECONDS = 10
MOST = 256 << 10  # KiB
JOBS = ("1", "2", "16")
EXTRACTED, REFUSED = {0}, {3, 4}
NOBODY = 65534
AS_USER = dict(user=NOBODY, group=NOBODY, extra_groups=[]) if os.geteuid() == 0 else {}
MARK = ".bundlecp-"  # what the name of every staging folder has in it


def prepare():
    """Makes victims beside and above the destination."""
    for folder in ("above/beside/in", "above/locked"):
        os.makedirs(os.path.join(RUN, folder))
    for victim in ("victim", "above/victim", "above/beside/victim", "above/beside/in/victim"):
        with open(os.path.join(RUN, victim), "w") as file:
            file.write("unharmed")
    os.link(os.path.join(RUN, "above/victim"), os.path.join(RUN, "above/other-name"))
    os.symlink("beside", os.path.join(RUN, "above/link"))
    for parent, folders, files in os.walk(RUN):
        for path in [parent, *(os.path.join(parent, name) for name in folders + files)]:
            if AS_USER:
                os.lchown(path, NOBODY, NOBODY)


def look():
    """All that can be seen outside of the destination."""
    seen = {}
    for parent, folders, files in os.walk(RUN):
        for name in folders + files:
            path = os.path.join(parent, name)
            about = os.lstat(path)
            content = None
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            elif stat.S_ISLNK(about.st_mode):
                content = os.readlink(path)
            # Making the destination changes the time and the links of the folder around it.
            times = None if path == os.path.dirname(DESTINATION) else (about.st_mtime_ns, about.st_nlink)
            if path != DESTINATION:
                seen[path] = (about.st_mode, about.st_uid, times, content)
        folders[:] = [name for name in folders if os.path.join(parent, name) != DESTINATION]
    return seen


def wild():
    """What must not come out of any archive."""
    for parent, folders, files in os.walk(DESTINATION):
        for name in folders + files:
            about = os.lstat(os.path.join(parent, name))
            is_known = stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode) or stat.S_ISLNK(about.st_mode)
            if not is_known or about.st_mode & 0o7000 or MARK in name:
                return f"`{os.path.join(parent, name)}` has mode {about.st_mode:o}"
    return None


def extract(archive, jobs, is_piped):
    """Status (None for a hang), peak of memory in KiB, and what was said."""
    source = open(archive, "rb") if is_piped else subprocess.DEVNULL
    reader, writer = (subprocess.PIPE, subprocess.PIPE) if is_piped else (source, None)
    command = [BUNDLECP, "extract", "-" if is_piped else archive, "-C", DESTINATION, "-j", jobs]
    process = subprocess.Popen(
        command, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, **AS_USER)
    if is_piped:
        # Through a real pipe: standard input that is a file would be read as one.
        threading.Thread(target=feed, args=(source, process.stdin), daemon=True).start()
    timer = threading.Timer(SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = status
    process.stderr.close()
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss, said


def feed(source, pipe):
    try:
        with source, pipe:
            shutil.copyfileobj(source, pipe)
    except (BrokenPipeError, ValueError):
        pass


def wanted(path):
    folders = path.split("/")
    if folders[1:2] == ["zstd"]:
        # Not of tars: to be decoded and refused, or refused before.
        return EXTRACTED | REFUSED
    if "accept" in folders:
        return EXTRACTED
    if "reject" in folders:
        return REFUSED
    return EXTRACTED | REFUSED


def check(path):
    """What went wrong with an archive, or None."""
    for jobs in JOBS:
        for is_piped in (False, True):
            before = look()
            status, peak, said = extract(os.path.join(WORK, "corpus", path), jobs, is_piped)
            way = f"{'pipe' if is_piped else 'file'}, {jobs} jobs: {said.strip()}"
            if look() != before:
                return f"something outside changed, {way}"
            # Some zips can't be read from a pipe: that is an answer too, and no harm.
            allowed = wanted(path) | (REFUSED if is_piped else set())
            if status not in allowed:
                return f"status {status}, {way}"
            if peak > MOST:
                return f"took {peak} KiB, {way}"
            problem = wild() if os.path.lexists(DESTINATION) else None
            if problem:
                return f"{problem}, {way}"
            if os.path.lexists(DESTINATION) != (status == 0):
                return f"status {status}, but the destination says otherwise, {way}"
            remove()
    return None


def remove():
    if os.path.lexists(DESTINATION):
        subprocess.run(["chmod", "-R", "u+rwX", DESTINATION], check=True)
        shutil.rmtree(DESTINATION)


def main():
    prepare()
    counts = {"ok": 0, "not ok": 0}
    with open(os.path.join(WORK, "corpus", "MANIFEST.tsv"), newline="") as manifest:
        paths = [row["path"] for row in csv.DictReader(manifest, delimiter="\t")]
    for path in paths:
        if PATTERN not in path:
            continue
        problem = check(path)
        remove()
        result = "not ok" if problem else "ok"
        counts[result] += 1
        print(f"{result} - corpus: {path}{': ' + problem if problem else ''}", flush=True)
    print(f"{counts['ok']} passed, {counts['not ok']} failed, 0 skipped")
    return int(counts["not ok"] > 0)


sys.exit(main())
