"""Few descriptors, deep and wide trees, and the memory that an entry costs."""

import os
import resource
import shutil

import check
import tree

PEAK = os.environ["FAULTS_PEAK"]
FOLDERS, DEPTH = 5000, 200
FEW, MANY = 20_000, 200_000
BYTES_AN_ENTRY = 300
MIB = 1 << 20
LARGE = 400  # MiB: more than a packing may take
MEMORY = 256  # MiB


def area():
    """Memory, where there is some: these trees are about numbers, not disks."""
    shared = "/dev/shm"
    is_there = os.path.ismount(shared) and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    return os.path.join(shared, f"bundlecp-faults-{os.getpid()}") if is_there else os.path.join(check.WORK, "limits")


def make_wide(path):
    for outer in range(50):
        for inner in range(FOLDERS // 50):
            folder = os.path.join(path, f"outer{outer}", f"inner{inner}")
            os.makedirs(folder)
            with open(os.path.join(folder, "file"), "w") as file:
                file.write(str(inner))
        os.symlink("inner0", os.path.join(path, f"outer{outer}", "link"))


def make_deep(path):
    for level in range(DEPTH):
        os.mkdir(path)
        with open(os.path.join(path, "file"), "w") as file:
            file.write(str(level))
        os.symlink("file", os.path.join(path, "link"))
        path = os.path.join(path, "level")
    # Links and files at the end of the way are the ones that are met again after everything else.
    os.mkdir(path)
    os.link(os.path.join(os.path.dirname(path), "file"), os.path.join(path, "second"))


def make_files(path, count):
    for folder in range(count // 1000):
        os.makedirs(os.path.join(path, str(folder)))
        for number in range(1000):
            os.close(os.open(os.path.join(path, str(folder), f"file{number}"), os.O_CREAT | os.O_WRONLY, 0o644))


def limited():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def few_descriptors(root):
    for who, prefix in [("root" if os.geteuid() == 0 else "this user", []), ("an ordinary user", check.as_nobody())]:
        problems = []
        for shape, make in [("wide", make_wide), ("deep", make_deep)]:
            place = os.path.join(root, f"{shape}-{len(prefix)}")
            os.mkdir(place)
            source, target = os.path.join(place, "source"), os.path.join(place, "target")
            make(source)
            if prefix:
                own(place)
            for options in (["-RT"], ["-RfT", "-j8"], ["-RT", "--merge"]):
                command = [*options, source, target]
                done = check.run(command, prefix, preexec_fn=limited)
                problem = None
                if done.status != 0:
                    problem = f"status {done.status}: {check.first_line(done.err)}"
                elif check.leftovers(place):
                    problem = f"{check.leftovers(place)[0].decode()} is left"
                else:
                    problem = tree.difference(tree.snapshot(source), tree.snapshot(target))
                if problem:
                    reproduce = check.shown([*prefix, "bundlecp", *command])
                    problems.append((f"{shape}: {problem}", f"ulimit -n 64; {reproduce}"))
            shutil.rmtree(place)
        check.report(f"64 descriptors, {FOLDERS} folders, a chain of {DEPTH}, as {who}", problems)


def own(place):
    for path, dirs, files in os.walk(place):
        for name in [".", *files]:
            os.lchown(os.path.join(path, name), check.NOBODY, check.NOBODY)


def memory(root):
    problems, peaks = [], {}
    for count in (FEW, MANY):
        source, target = os.path.join(root, f"files{count}"), os.path.join(root, f"copy{count}")
        make_files(source, count)
        done = check.run(["-RT", "-q", source, target], [PEAK], limit=60)
        peaks[count] = int(done.out) * 1024
        if done.status != 0:
            problems.append((f"{count} files: status {done.status}", check.shown(["bundlecp", "-RT", source, target])))
        elif sum(len(names) for _, _, names in os.walk(target)) != count:
            problems.append((f"not all of {count} files arrived", check.shown(["bundlecp", "-RT", source, target])))
        for path in (source, target):
            shutil.rmtree(path, ignore_errors=True)
    an_entry = (peaks[MANY] - peaks[FEW]) / (MANY - FEW)
    if an_entry >= BYTES_AN_ENTRY:
        problems.append((f"{an_entry:.0f} bytes an entry, wanted less than {BYTES_AN_ENTRY}",
                         f"/usr/bin/time -v bundlecp on {FEW} and {MANY} empty files"))
    check.report(f"{MANY} files", problems, f"{peaks[MANY] >> 20} MiB, {an_entry:.0f} bytes an entry")


def packing(root):
    """Files that are packed in parts, with holes and without, take no more memory than others."""
    source, problems, peaks = os.path.join(root, "large"), [], []
    os.mkdir(source)
    block = os.urandom(MIB)
    for name, hole in [("whole", 0), ("holes", 64 * MIB)]:
        with open(os.path.join(source, name), "wb") as file:
            for number in range(LARGE):
                if number == LARGE // 2:
                    file.seek(hole, os.SEEK_CUR)
                file.write(block)
    for ending in ("tar", "tar.zst", "tar.gz", "zip"):
        archive = os.path.join(root, f"large.{ending}")
        command = ["pack", "-q", "-j2", *([] if ending == "tar" else ["--level=1"]), source, "-o", archive]
        done = check.run(command, [PEAK], limit=120)
        if done.status != 0:
            problems.append((f"{ending}: status {done.status}: {check.first_line(done.err)}", check.shown(["bundlecp", *command])))
            continue
        os.unlink(archive)
        peaks.append(int(done.out) >> 10)
        if peaks[-1] > MEMORY:
            problems.append((f"{ending}: {peaks[-1]} MiB, wanted at most {MEMORY}", check.shown(["bundlecp", *command])))
    shutil.rmtree(source)
    check.report(f"packing files of {LARGE} MiB, with holes and without", problems, f"at most {max(peaks)} MiB")


def main():
    root = area()
    os.mkdir(root)
    os.chmod(root, 0o755)
    try:
        few_descriptors(root)
        memory(root)
        packing(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
