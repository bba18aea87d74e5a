"""Opens a shop as the README says, buys something there, and closes it.

    sells.py SHOP    the path of the program
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

OFFSETS = range(11)
"""The ports of a shop, counted from its base."""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is reached through no proxy."""


def free_base():
    """Returns a port base that no other server stands on."""
    for base in range(21080, 29080, 100):
        try:
            for offset in OFFSETS:
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
    raise SystemExit("no free ports")


def ask(url, body=None, **headers):
    """Sends a request, a POST when there is a body, and returns status and JSON."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": "application/json"}
    with DIRECT.open(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return answer.status, json.load(answer)


def buy(api):
    """Registers, logs in, browses, orders, and reads the order and its payment."""
    ada = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
    assert ask(f"{api}/users", ada)[0] == 201
    token = ask(f"{api}/sessions", {"email": ada["email"], "password": ada["password"]})[1]["token"]
    who = {"Authorization": f"Bearer {token}"}
    product = ask(f"{api}/products")[1]["products"][0]
    items = {"items": [{"product_id": product["id"], "quantity": 2}]}
    status, order = ask(f"{api}/orders", items, Idempotency_Key="first", **who)
    assert (status, order["status"]) == (201, "CONFIRMED"), order
    assert order["total_cents"] == 2 * product["price_cents"], order
    assert ask(f"{api}/orders/{order['id']}", **who)[1]["status"] == "CONFIRMED"
    assert ask(f"{api}/payments/{order['payment_id']}", **who)[0] == 200
    print(f"bought {items} as {order['id']}")


if __name__ == "__main__":
    base = free_base()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.argv[1], "up", "--data-dir", folder, "--port-base", str(base)]
        shop = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            opened = shop.stdout.readline().strip()
            assert opened == f"shop is open at http://127.0.0.1:{base}", opened
            buy(f"http://127.0.0.1:{base}/api/v1")
            shop.send_signal(signal.SIGTERM)
            assert shop.wait(timeout=30) == 0, shop.returncode
        finally:
            shop.kill()
