"""Tries the script that starts servers: each answers, is back where it was when it is killed, and is gone in the end.

    servers_selftest.py    starts all that can be had, and tries each
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from keep import says

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "servers")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENCE = 60.0


def ask(url, body=None, **headers):
    """Returns the body of an answer."""
    asked = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with DIRECT.open(asked, timeout=5) as answer:
        return answer.read().decode()


def told(*command, **variables):
    """Returns what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    return done.stdout


def soon(what, seen):
    """Waits until something is seen, through all that fails meanwhile."""
    until, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < until:
        try:
            if seen():
                return
        except (OSError, AssertionError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} was not seen: {last}")


def sql(*client, **variables):
    """A table that is written by the first who asks, and read by each."""
    make = "CREATE TABLE kept (word VARCHAR(9)); INSERT INTO kept VALUES ('kept');"
    first = []

    def seen():
        if not first:
            told(*client, make, **variables)
            first.append(True)
        return "kept" in told(*client, "SELECT word FROM kept;", **variables)

    return seen


def postgres():
    """Returns what asks PostgreSQL."""
    return sql("psql", os.environ["POSTGRES_URL"], "-c")


def mariadb():
    """Returns what asks MariaDB."""
    url = urllib.parse.urlsplit(os.environ["MARIADB_URL"])
    where = ["--protocol=tcp", f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}"]
    return sql("mariadb", "--no-defaults", *where, f"--database={url.path[1:]}", "-e", MYSQL_PWD=url.password)


def rabbitmq():
    """Returns what asks RabbitMQ."""
    port = urllib.parse.urlsplit(os.environ["AMQP_URL"]).port
    return lambda: says(port, b"AMQP\0\0\x09\1", b"\1\0\0")


def redis():
    """Returns what asks Redis."""
    port = urllib.parse.urlsplit(os.environ["REDIS_URL"]).port
    return lambda: says(port, b"PING\r\n", b"+PONG")


def prometheus():
    """Returns what asks Prometheus, which scrapes itself."""
    url = os.environ["PROMETHEUS_URL"]
    targets = pathlib.Path(os.environ["PROMETHEUS_TARGETS"])
    targets.write_text(json.dumps([{"targets": [urllib.parse.urlsplit(url).netloc]}]), encoding="utf-8")
    return lambda: json.loads(ask(f"{url}/api/v1/query?query=up"))["data"]["result"][0:1] != []


def otlp():
    """Returns what sends a collector a span, and looks whether it has it."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    log = pathlib.Path(os.environ["SERVERS_DIR"], "otlp.log")

    def seen():
        name = f"span-{time.monotonic_ns()}"
        span = field(1, os.urandom(16)) + field(2, os.urandom(8)) + field(5, name.encode())
        url = f"{os.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces"
        ask(url, field(1, field(2, field(2, span))), content_type="application/x-protobuf")
        soon("the span", lambda: name in log.read_text(encoding="utf-8", errors="replace"))
        return True

    return seen


def is_there(pid):
    """Returns whether a process runs."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(folder):
    """Returns the processes of all servers."""
    return [int(path.read_text(encoding="utf-8")) for path in pathlib.Path(folder).glob("*.pid")]


def is_back(name, seen):
    """Kills a server, and sees it again with all that it had."""
    soon(name, seen)
    file = pathlib.Path(os.environ["SERVERS_DIR"], f"{name}.pid")
    old = file.read_text(encoding="utf-8")
    began = time.monotonic()
    os.kill(int(old), signal.SIGKILL)
    soon(f"another {name}", lambda: file.read_text(encoding="utf-8") != old)
    again = time.monotonic() - began
    soon(f"{name} after its kill", seen)
    print(f"{name} was started again after {again:.1f} s, and answered after {time.monotonic() - began:.1f} s")


def inside(kept):
    """Tries the servers that were started."""
    servers = {each.__name__: each for each in (mariadb, otlp, postgres, prometheus, rabbitmq, redis)}
    names = [name for name in servers if name not in os.environ["SERVERS_SKIPPED"].split()]
    for name in names:
        is_back(name, servers[name]())
    pathlib.Path(kept).write_text(json.dumps(pids(os.environ["SERVERS_DIR"])), encoding="utf-8")
    print(f"test result: ok. {len(names)} passed; 0 failed")


def gone(started):
    """Waits until none of the servers is there."""
    assert started
    soon("the end of all", lambda: not any(map(is_there, started)))


def outside():
    """Has the servers started and tried, and sees that none of them stays, however the script ends."""
    names = ["mariadb", "otlp", "postgres", "prometheus", "rabbitmq", "redis"]
    with tempfile.NamedTemporaryFile() as kept:
        command = [SCRIPT, "--any", *names, "--", sys.executable, __file__, kept.name]
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
        gone(json.load(kept))
    for how in (signal.SIGTERM, signal.SIGKILL):
        command = [SCRIPT, "redis", "--", "sh", "-c", "echo $SERVERS_DIR; exec sleep 60"]
        script = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        folder = script.stdout.readline().strip()
        started = pids(folder)
        assert all(map(is_there, started))
        script.send_signal(how)
        script.wait()
        gone(started)
        assert how == signal.SIGKILL or not os.path.exists(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(inside(sys.argv[1]) if sys.argv[1:] else outside())
