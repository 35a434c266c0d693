"""What a later start asks of the system until the program takes over, and how often it looks at what is unpacked.

calls.py LOG APP: reads what `strace -f -y -s 0` wrote of one start. Prints what is wrong, and exits 1 if anything is.
"""

import re
import sys

MOST_CALLS = 120
# How many entries of the bundle a start looks at: that depends on how many there are, and on how fast the system answers.
MOST_LOOKS = 320
MOST_BYTES = 64 << 10
CHANGES = re.compile(
    r"p?writev?|mk|rename|unlink|rmdir|link|symlink|f?truncate|fallocate|f?l?chmod|f?l?chown|utime|f?l?setxattr|sync|fsync|"
    r"fdatasync|sendfile|copy_file_range|clone|fork|vfork|open(at)?\(.*O_(WRONLY|RDWR|CREAT|TRUNC)"
)


def main():
    log, app = sys.argv[1:]
    with open(log, errors="replace") as file:
        lines = [re.sub(r"^\d+ +", "", line.rstrip("\n")) for line in file]
    starts = [number for number, line in enumerate(lines) if line.startswith("execve(")]
    # From the executable's own to the program's.
    calls = lines[starts[0] + 1 : starts[1] + 1]
    wrong = []
    looks = [call for call in calls if re.match(r'newfstatat\(\d+<[^>]*/[0-9a-f]{32}>, "', call)]
    if len(calls) - len(looks) > MOST_CALLS or len(looks) > MOST_LOOKS:
        wrong.append(f"{len(calls) - len(looks)} calls and {len(looks)} looks")
    wrong += [f"it changes something: {call}" for call in calls if CHANGES.match(call)]
    opened = [call for call in calls if re.match(r"open(at)?\(", call) and call.endswith(f"<{app}>")]
    if len(opened) != 1:
        wrong.append(f"it opens itself {len(opened)} times: {opened}")
    reads = [call for call in calls if re.match(r"p?readv?(64|2)?\(", call) and f"<{app}>" in call.split(",")[0]]
    got = sum(int(call.rsplit("= ", 1)[1].split()[0]) for call in reads)
    if not 0 < got <= MOST_BYTES:
        wrong.append(f"it reads {got} bytes of itself: {reads}")
    wrong += [f"it maps itself: {call}" for call in calls if call.startswith("mmap(") and f"<{app}>" in call]
    print(f"{len(calls) - len(looks)} calls, {len(looks)} looks, {got} bytes of itself in {len(reads)} reads")
    sys.exit("\n".join(wrong[:15]) or 0)


if __name__ == "__main__":
    main()
