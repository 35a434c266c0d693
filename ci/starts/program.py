"""A program whose first argument says what it does; ci/starts.sh has PyInstaller make a folder of it."""

import multiprocessing
import os
import subprocess
import sys
import time

# The file that a start came from: outside of an executable it is the program itself.
ORIGINAL = os.environ.get("BUNDLECP_ORIGINAL_EXE", sys.executable)


def late():
    """Needs files of the bundle that nothing has read so far."""
    import sqlite3

    return sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0]


def told(*_):
    print([os.fsencode(each) for each in sys.argv], os.getcwd(), sys._MEIPASS, sys.executable)
    print(os.path.dirname(os.path.abspath(__file__)) == sys._MEIPASS, late(), sys.flags, sys.path)
    print({name: value for name, value in sorted(os.environ.items()) if not name.startswith("BUNDLECP")})


def ended(status):
    print("to standard output")
    print("to standard error", file=sys.stderr)
    sys.exit(int(status))


def raised():
    raise RuntimeError("on purpose")


def killed(number):
    print("before", flush=True)
    os.kill(os.getpid(), int(number))
    time.sleep(10)


def square(number):
    time.sleep(0.02)
    return number * number, os.getpid(), sys._MEIPASS


def pool(method):
    with multiprocessing.get_context(method).Pool(2) as workers:
        seen = workers.map(square, range(8), chunksize=1)
    print([each for each, _, _ in seen], {folder for _, _, folder in seen} == {sys._MEIPASS})
    print(os.getpid() in {process for _, process, _ in seen}, late())


def folder():
    print(sys._MEIPASS, late())


def again():
    ran = subprocess.run([sys.executable, "folder"], capture_output=True, text=True, check=True)
    print(ran.stdout.split() == [sys._MEIPASS, "42"], ran.stderr)


def become(what):
    path = {"program": sys.executable, "original": ORIGINAL}[what]
    os.execv(path, [path, "folder"])


def restart(report, *variables):
    """A new one is started, and this one ends while that one starts."""
    environment = dict(os.environ, **dict(each.split("=") for each in variables))
    command = [ORIGINAL, "restarted", report, str(os.getpid())]
    subprocess.Popen(command, start_new_session=True, env=environment, stdin=subprocess.DEVNULL)


def restarted(report, before):
    while os.getppid() == int(before):
        time.sleep(0.01)
    told_by(report, f"{sys._MEIPASS} {late()}")


def stay(report, until, *how):
    """Runs until a file is there. As a daemon it has closed all but the standard streams."""
    if "daemon" in how:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.closerange(3, 4096)
    told_by(report, str(os.getpid()))
    while not os.path.exists(until):
        time.sleep(0.01)
    told_by(until + ".answer", f"{sys._MEIPASS} {late()}")


def told_by(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def outside(bundlecp):
    command = [bundlecp, "clean-env", "--", "sh", "-c", 'echo "${LD_LIBRARY_PATH-none} ${LD_LIBRARY_PATH_ORIG-none}"; env']
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    print(said[0], [each for each in said[1:] if each.startswith(("_PYI", "_MEI", "BUNDLECP_ORIGINAL"))])
    print(os.environ["LD_LIBRARY_PATH"], os.environ.get("LD_LIBRARY_PATH_ORIG", "none"))


if __name__ == "__main__":
    multiprocessing.freeze_support()
    globals()[sys.argv[1]](*sys.argv[2:])
