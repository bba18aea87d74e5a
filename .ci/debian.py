"""Programs of Debian and of PyPI that are fetched when they are not here.

    debian.py PROGRAM PACKAGE    prints the path of a program, or exits with 77: it cannot be had
"""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import threading
import venv

from keep import Missing

POLICY = "/usr/sbin/policy-rc.d"
PLACES = ["/usr/lib/rabbitmq/bin", *os.environ["PATH"].split(":"), "/usr/sbin", "/usr/lib/postgresql/*/bin"]
"""Where programs are; Debian wraps those of RabbitMQ in others, for its own service."""
_one_at_a_time = threading.Lock()


def program(names, package):
    """Returns the path of the first program that is there, once the Debian package is."""
    for fetch in (False, True):
        if fetch:
            install(package)
        for name in names:
            if path := find(name):
                return path
    raise Missing(f"{package} has no {names[0]}")


def find(name):
    """Returns the path of a program, in the newest of folders that differ by version."""
    for place in PLACES:
        for folder in sorted(glob.glob(place), reverse=True):
            if path := shutil.which(name, path=folder):
                return path
    return None


def install(package):
    """Installs a Debian package, with nothing that it only recommends, and starts no service of it."""
    if not shutil.which("apt-get"):
        raise Missing(f"{package} is not here, and there is no apt-get")
    if os.geteuid():
        raise Missing(f"{package} is not here, and only root may install it")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _one_at_a_time, no_services():
        for words in (["update"], ["install", "-y", "--no-install-recommends", package]):
            command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words]
            done = subprocess.run(command, env=quiet, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode and words != ["update"]:
                raise Missing(f"{package} cannot be installed: {' '.join(done.stderr.strip().splitlines()[-1:])}")


@contextlib.contextmanager
def no_services():
    """While this lasts, no package that is installed starts its service."""
    if os.path.exists(POLICY):
        yield
        return
    with open(os.open(POLICY, os.O_WRONLY | os.O_CREAT, 0o755), "w", encoding="utf-8") as policy:
        policy.write("#!/bin/sh\nexit 101\n")
    try:
        yield
    finally:
        os.remove(POLICY)


def wheel(requirement):
    """Returns the folder of the packages of a virtual environment that has what is required from PyPI."""
    tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "ci", "tools")
    place = os.path.abspath(os.path.join(tools, requirement.replace("==", "-")))
    done = os.path.join(place, "done")
    with _one_at_a_time:
        if not os.path.exists(done):
            # Nobody sees one that is half there.
            fresh = f"{place}.{os.getpid()}"
            try:
                venv.create(fresh, with_pip=True)
                command = [os.path.join(fresh, "bin", "python"), "-m", "pip", "install", "--quiet", requirement]
                subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
                open(os.path.join(fresh, "done"), "w", encoding="utf-8").close()
                shutil.rmtree(place, ignore_errors=True)
                os.rename(fresh, place)
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", None) or str(error)
                raise Missing(f"{requirement} cannot be installed: {said.strip().splitlines()[-1]}") from error
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return os.path.join(place, "lib", version, "site-packages")


if __name__ == "__main__":
    try:
        print(program(sys.argv[1:2], sys.argv[2]))
    except Missing as missing:
        print(f"SKIPPED: {missing}", file=sys.stderr)
        sys.exit(77)
