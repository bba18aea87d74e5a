"""Processes that are kept alive, each in a folder and on ports of its own."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

PATIENCE = 60.0
"""Seconds within which a server must be there."""

PORTS = range(2048, 8000)
"""Below those that the system gives away, so that nobody takes a server's while it is being started again."""

WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
"""What makes a process end with the one that started it, however that ends."""


class Missing(Exception):
    """A server that cannot be had here."""


class Failed(Exception):
    """A server that is here and does not run."""


def unprivileged():
    """Returns how a process is started as somebody who may do nothing, where the caller is root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


_taken = set()
_taking = threading.Lock()


def free_port():
    """Returns a port of loopback that nobody has; nobody else of this process gets it."""
    with _taking:
        while True:
            port = random.choice(PORTS)
            with contextlib.suppress(OSError), socket.socket() as asked:
                if port not in _taken:
                    # As the servers do, which start again while old connections linger.
                    asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    asked.bind(("127.0.0.1", port))
                    _taken.add(port)
                    return port


class Home:
    """The folder of a server: `data` belongs to it, the logs do not."""

    def __init__(self, root, name):
        self.name = name
        self.root = root
        self.path = os.path.join(root, name)
        os.mkdir(self.path, 0o700)
        self.own(self.path)

    def own(self, path):
        """Gives a path to whom the server runs as."""
        if who := unprivileged():
            os.chown(path, who["user"], who["group"])

    def file(self, name, text=""):
        """Writes a file that the server alone can read, and returns its path."""
        path = os.path.join(self.path, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        self.own(path)
        return path

    def run(self, command, said="", **variables):
        """Runs a command in the folder to its end."""
        done = subprocess.run(
            [*WITH_US, *command], input=said, capture_output=True, text=True, **self._how(variables)
        )
        if done.returncode:
            raise Failed(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")

    def spawn(self, command, log, **variables):
        """Starts a command in the folder, with all that it says in a file beside it."""
        with open(os.path.join(self.root, f"{log}.log"), "ab") as told:
            return subprocess.Popen(
                [*WITH_US, *command],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
                **self._how(variables),
            )

    def _how(self, variables):
        env = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": self.path, **variables}
        return {"cwd": self.path, "env": env, **unprivileged()}


class Kept:
    """A process that is started again when it dies. A thread of its own starts it, and lives until it is told to stop: the
    system ends the process with that thread."""

    def __init__(self, home, command, answers, *, name=None, ends_by=signal.SIGKILL, **variables):
        self.home = home
        self.name = name or home.name
        self.command = command
        self.answers = answers
        self.ends_by = ends_by
        self.variables = variables
        self.process = None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._keep, daemon=True)

    def start(self):
        """Starts it, and returns when it answers."""
        self.thread.start()
        until = time.monotonic() + PATIENCE
        while not self.answers():
            if self.is_over.is_set() or time.monotonic() > until:
                with open(os.path.join(self.home.root, f"{self.name}.log"), errors="replace") as told:
                    raise Failed(f"{self.name} does not answer: {told.read()[-2000:]}")
            time.sleep(0.02)
        return self

    def stop(self):
        """Stops it for good."""
        self.is_over.set()
        if self.thread.is_alive():
            self.thread.join()

    def _keep(self):
        while not self.is_over.is_set():
            process = self.home.spawn(self.command, self.name, **self.variables)
            self._tell(process.pid)
            while process.poll() is None:
                if self.is_over.wait(0.05):
                    return self._end(process)
            # What cannot be started again yet, since it is not all gone, is tried anew soon.
            self.is_over.wait(0.2)

    def _tell(self, pid):
        path = os.path.join(self.home.root, f"{self.name}.pid")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(f"{pid}\n")
        os.replace(f"{path}.new", path)

    def _end(self, process):
        process.send_signal(self.ends_by)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def says(port, question, prefix):
    """Returns whether a server on loopback answers a question with bytes that begin so."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as asked:
        asked.sendall(question)
        said = b""
        while len(said) < len(prefix) and (more := asked.recv(256)):
            said += more
        return said.startswith(prefix)
    return False
