"""Many starts of an executable at once, some of them killed at any moment.

storm.py cold FOLDER APP [ROUNDS]: rounds of 64 first starts. storm.py warm FOLDER APP: 1,000 starts, 50 at once.
The folder's program is a shell. Reads BUNDLECP, the command. Prints what is wrong, and exits 1 if anything is.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUNDLECP = os.environ["BUNDLECP"]
AT_ONCE = 64
FOLDER = re.compile(r"[0-9a-f]{32}")
STAGING = re.compile(rf"\.{FOLDER.pattern}\.bundlecp-[0-9a-f]{{16}}")
LOCK = re.compile(rf"\.{FOLDER.pattern}\.lock")
# The script looks at what was unpacked last as well as first, without a process more.
SCRIPT = 'read -r word <"$0/_internal/link" && read -r last <"$0/_internal/many/99" && echo "$word $last"'
RIGHT = b"right 99\n"


class Storm:
    def __init__(self, folder, app):
        self.folder, self.app = os.path.realpath(folder), os.path.realpath(app)
        self.room = tempfile.mkdtemp(dir=os.path.dirname(self.app))
        self.cache = os.path.join(self.room, "cache")
        self.environment = {"PATH": "/usr/bin:/bin", "BUNDLECP_CACHE_DIR": self.cache}
        self.wrong = []
        # Where it is unpacked, it says itself once.
        began = time.monotonic()
        said = subprocess.run([self.app, "-c", "readlink /proc/$$/exe"], env=self.environment, capture_output=True)
        self.unpacked = os.path.dirname(said.stdout.decode().strip())
        self.takes = time.monotonic() - began

    def start(self):
        command = [self.app, "-c", SCRIPT, self.unpacked]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def judge(self, where, child, is_victim=False):
        out, err = child.communicate(timeout=60)
        if is_victim and child.returncode == -signal.SIGKILL:
            return False
        if (child.returncode, out, err) != (0, RIGHT, b""):
            self.wrong.append(f"{where}: {child.returncode} {out} {err}")
        return True

    def command(self, *arguments):
        ran = subprocess.run([BUNDLECP, *arguments], env=self.environment, capture_output=True, text=True)
        if ran.returncode:
            self.wrong.append(f"{arguments}: {ran.returncode} {ran.stdout} {ran.stderr}")

    def round(self, number):
        """Returns how many were killed, and how many half-unpacked folders were seen."""
        shutil.rmtree(self.cache)
        halves = self.killed_alone() if number % 2 else 0
        children, timers = [], []
        victims = random.sample(range(AT_ONCE), 12)
        for place in range(AT_ONCE):
            children.append(self.start())
            if place in victims:
                timers.append(threading.Timer(random.uniform(0, self.takes), children[place].kill))
                timers[-1].start()
        ended = [self.judge(f"round {number}", child, place in victims) for place, child in enumerate(children)]
        for timer in timers:
            timer.cancel()
        here = os.listdir(self.cache)
        folders = [name for name in here if FOLDER.fullmatch(name)]
        left = [name for name in here if STAGING.fullmatch(name)]
        locks = [name for name in here if LOCK.fullmatch(name)]
        if len(folders) != 1 or len(here) != len(folders) + len(left) + len(locks):
            self.wrong.append(f"round {number}: the cache has {here}")
        self.command("verify", self.folder, self.unpacked)
        self.command("cache", "clean", "--max-age", "1")
        here = [name for name in os.listdir(self.cache) if name not in locks]
        if here != folders:
            self.wrong.append(f"round {number}: after cleaning, the cache has {here}")
        return ended.count(False), halves + len(left)

    def killed_alone(self):
        """One start before all others, killed while it unpacks."""
        child = self.start()
        while child.poll() is None and not self.staging():
            pass
        time.sleep(random.uniform(0, self.takes / 2))
        child.kill()
        self.judge("the one before", child, True)
        return len(self.staging())

    def staging(self):
        try:
            return [name for name in os.listdir(self.cache) if STAGING.fullmatch(name)]
        except FileNotFoundError:
            return []

    def cold(self, rounds="50"):
        seed = random.randrange(1 << 32)
        random.seed(seed)
        done = [self.round(number) for number in range(int(rounds))]
        killed = sum(count for count, _ in done)
        halves = sum(count for _, count in done)
        print(f"seed {seed}: a first start takes {self.takes:.3f} s; {killed} killed, {halves} half-unpacked folders seen")
        if not killed or not halves:
            self.wrong.append("no start was killed in time")

    def warm(self):
        running = []
        for number in range(1000):
            if len(running) == 50:
                self.judge(f"start {number - 50}", running.pop(0))
            running.append(self.start())
        for child in running:
            self.judge("the last starts", child)
        self.command("verify", self.folder, self.unpacked)


def main():
    what, folder, app, *more = sys.argv[1:]
    storm = Storm(folder, app)
    getattr(storm, what)(*more)
    shutil.rmtree(storm.room)
    sys.exit("\n".join(storm.wrong[:15]) or 0)


if __name__ == "__main__":
    main()
