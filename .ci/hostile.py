#!/usr/bin/env python3
"""Measures what a thousand hostile connections cost the customers of a shop: `.ci/hostile.py SHOP [SECONDS] [KIND…]`.

SHOP is the path of the program, built with `--release`. Customers come 50 times a second, SECONDS long (20): alone, then beside
a thousand connections of each kind, three times over. Whoever of the thousand is cut comes again at once. It fails when a
customer is refused or fails, when the p99 of the customers more than doubles, or when one of the thousand stays longer than 15 s.
Neighbours on the machine only make a p99 worse, so the best of three is compared.

    silent   says nothing
    head     drips a head, a byte at a time
    body     drips a body, a byte at a time
    half     says half a head or half a body, and then nothing
    deaf     asks for pages, and reads none
    tail     sends 60 KiB of a body at once, and drips the rest
    mixed    a third silent, a third dripping, a third half open
"""

import asyncio
import itertools
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sells import free_base  # noqa: E402

MANY = 1000
RATE = 50
DRIP = 0.5
"""Seconds between two bytes."""
LONGEST = 15.0
"""Seconds that one of the thousand may stay."""
SLACK_MS = 10.0
"""At 50 a second for 20 s, p99 is the tenth slowest of a thousand: a slice of time that somebody else has moves it by as much."""
ROUNDS = 3
GOOD = {"ok", "pending", "stale"}

HEAD = b"GET /api/v1/products HTTP/1.1\r\nhost: shop\r\nx-drip: "
POST = b"POST /api/v1/%s HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
BODY = POST % b"sessions" + b"content-length: 99999\r\n\r\n"
CHUNKS = POST % b"orders" + b"transfer-encoding: chunked\r\n\r\n"
PAGES = b"GET /openapi.json HTTP/1.1\r\nhost: shop\r\n\r\n" * 2

KINDS = {
    "silent": [(b"", b"")],
    "head": [(HEAD, b"x")],
    "body": [(BODY, b"x"), (CHUNKS, b"1\r\nx\r\n")],
    "half": [(HEAD[:20], b""), (BODY, b""), (CHUNKS + b"5\r\nha", b"")],
    "deaf": [(PAGES, None)],
    "tail": [(BODY + b"x" * 60 * 1024, b"x")],
}
KINDS["mixed"] = [KINDS["silent"][0]] * 6 + [KINDS["head"][0], *KINDS["body"]] * 2 + [*KINDS["half"], *KINDS["deaf"]] + KINDS["half"][:2]
"""What each says at once, and then again and again; whoever has None there reads nothing."""


class Hostile(asyncio.Protocol):
    """One connection. Its transport is None when it has been cut."""

    def __init__(self, crowd, drop):
        self.crowd, self.drop, self.transport, self.timer = crowd, drop, None, None

    def connection_made(self, transport):
        self.transport, self.began = transport, time.monotonic()
        self.port = transport.get_extra_info("sockname")[1]
        if self.drop is None:
            transport.pause_reading()
        self.crowd.here.add(self)

    def drip(self):
        if self.transport and not self.transport.is_closing():
            self.transport.write(self.drop)
            self.timer = self.crowd.loop.call_later(DRIP, self.drip)

    def eof_received(self):
        return False

    def connection_lost(self, _):
        self.transport = None
        if self.timer:
            self.timer.cancel()
        if self in self.crowd.here:
            self.crowd.here.discard(self)
            self.crowd.cut(time.monotonic() - self.began)


class Crowd:
    """A thousand connections of a kind."""

    def __init__(self, port, kind):
        self.port, self.scripts = port, itertools.cycle(KINDS[kind])
        self.here, self.stays, self.coming, self.over = set(), [], set(), False

    def cut(self, stay):
        self.stays.append(stay)
        if not self.over:
            self.come()

    def come(self):
        task = self.loop.create_task(self.connect(*next(self.scripts)))
        self.coming.add(task)
        task.add_done_callback(self.coming.discard)

    async def connect(self, said, drop):
        stream = socket.socket()
        stream.setblocking(False)
        if drop is None:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await self.loop.sock_connect(stream, ("127.0.0.1", self.port))
            _, one = await self.loop.create_connection(lambda: Hostile(self, drop), sock=stream)
        except OSError as why:
            print(f"nobody could come: {why}", file=sys.stderr)
            return
        if one.transport and said:
            one.transport.write(said)
        if drop:
            one.drip()

    async def run(self, load):
        """Stays while the customers come, and until nobody is left who came before."""
        self.loop = asyncio.get_running_loop()
        for _ in range(MANY):
            self.come()
        while self.coming:
            await asyncio.sleep(0.05)
        watch = self.loop.create_task(self.watch())
        report = await load()
        self.over = True
        await self.stop(watch)
        return report

    async def stop(self, watch):
        end = time.monotonic() + 2 * LONGEST
        while (self.here or self.coming) and time.monotonic() < end:
            await asyncio.sleep(0.1)
        watch.cancel()
        now = time.monotonic()
        self.stays += [now - one.began for one in self.here]
        for one in list(self.here):
            self.here.discard(one)
            one.transport.abort()

    async def watch(self):
        """Who reads nothing does not hear that they have been cut: the socket of the shop is gone."""
        while True:
            await asyncio.sleep(0.5)
            deaf = [one for one in self.here if one.drop is None]
            held = self.held() if deaf else set()
            for one in deaf:
                if one.port not in held and time.monotonic() - one.began > 0.5:
                    self.loop.call_soon(one.transport.abort)

    def held(self):
        """The ports of the connections that the process behind the gateway's port still holds."""
        lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        own = f":{self.port:04X}"
        return {int(line[2][-4:], 16) for line in lines if line[1].endswith(own) and line[9] != "0"}


async def load(program, folder, base, seconds):
    """Sends customers, and returns what they say."""
    args = ["load", "--rps", str(RATE), "--for", f"{seconds}s", "--json"]
    args += ["--data-dir", folder, "--port-base", str(base)]
    ran = await asyncio.create_subprocess_exec(program, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await ran.communicate()
    if ran.returncode:
        raise SystemExit(f"the load failed: {err.decode()}")
    return json.loads(out)


def told(name, report, stays=()):
    """Prints a line, and returns p99 and who was not served."""
    total = report["total"]
    bad = {how: count for how, count in total["outcomes"].items() if count and how not in GOOD}
    all_ms = total["all_ms"]
    line = f"{name:8} p50 {all_ms['p50']:7.1f} ms  p99 {all_ms['p99']:7.1f} ms  sent {total['sent']}  not served {bad or 'none'}"
    if stays:
        line += f"  cut {len(stays)}, after {max(stays):.1f} s at most"
    print(line, flush=True)
    return all_ms["p99"], bad


async def main(program, seconds, kinds):
    base, wrong = free_base(), []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "up", "--data-dir", folder, "--port-base", str(base)]
        log = open(os.path.join(folder, "log"), "w")
        shop = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            opened = shop.stdout.readline().strip()
            assert opened == f"shop is open at http://127.0.0.1:{base}", opened
            come = lambda: load(program, folder, base, seconds)  # noqa: E731
            told("warm-up", await load(program, folder, base, 5))
            best = dict.fromkeys(["alone", *kinds], float("inf"))
            for name in [*best] * ROUNDS:
                crowd = Crowd(base, name) if name in KINDS else None
                report = await (crowd.run(come) if crowd else come())
                p99, bad = told(name, report, crowd.stays if crowd else ())
                best[name] = min(best[name], p99)
                if bad:
                    wrong.append(f"{name}: customers were not served: {bad}")
                if crowd and (not crowd.stays or max(crowd.stays) > LONGEST):
                    wrong.append(f"{name}: {len(crowd.stays)} were cut, and one stayed {max(crowd.stays, default=0):.1f} s")
            most = 2 * best["alone"] + SLACK_MS
            print("best p99:", ", ".join(f"{name} {p99:.1f} ms" for name, p99 in best.items()))
            wrong += [f"{name}: p99 is {p99:.1f} ms, more than {most:.1f} ms" for name, p99 in best.items() if p99 > most]
        finally:
            shop.terminate()
            try:
                shop.wait(timeout=30)
            finally:
                shop.kill()
    return wrong


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    given = sys.argv[2:]
    lasts = int(given.pop(0)) if given and given[0].isdigit() else 20
    asked = given or [kind for kind in KINDS]
    if unknown := [kind for kind in asked if kind not in KINDS]:
        raise SystemExit(f"unknown kinds: {unknown}")
    found = asyncio.run(main(os.path.abspath(sys.argv[1]), lasts, asked))
    for line in found:
        print(f"wrong: {line}")
    sys.exit(1 if found else 0)
