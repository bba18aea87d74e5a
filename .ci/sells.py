"""Opens a shop as the README says, buys something there, and closes it.

    sells.py SHOP    the path of the program; with SHOP_TLS=1 in the environment it speaks TLS
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request

OFFSETS = range(11)
"""The ports of a shop, counted from its base."""

SCHEME = "https" if os.environ.get("SHOP_TLS") == "1" else "http"


def direct(roots=None):
    """Returns what reaches loopback through no proxy, and trusts the roots of a file."""
    trust = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=roots))] if roots else []
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), *trust)


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


def ask(http, url, body=None, **headers):
    """Sends a request, a POST when there is a body, and returns status and JSON."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": "application/json"}
    with http.open(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return answer.status, json.load(answer)


def buy(http, api):
    """Registers, logs in, browses, orders, and reads the order and its payment."""
    ada = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
    assert ask(http, f"{api}/users", ada)[0] == 201
    token = ask(http, f"{api}/sessions", {"email": ada["email"], "password": ada["password"]})[1]["token"]
    who = {"Authorization": f"Bearer {token}"}
    product = ask(http, f"{api}/products")[1]["products"][0]
    items = {"items": [{"product_id": product["id"], "quantity": 2}]}
    status, order = ask(http, f"{api}/orders", items, Idempotency_Key="first", **who)
    assert (status, order["status"]) == (201, "CONFIRMED"), order
    assert order["total_cents"] == 2 * product["price_cents"], order
    assert ask(http, f"{api}/orders/{order['id']}", **who)[1]["status"] == "CONFIRMED"
    assert ask(http, f"{api}/payments/{order['payment_id']}", **who)[0] == 200
    print(f"bought {items} as {order['id']}")


if __name__ == "__main__":
    base = free_base()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.argv[1], "up", "--data-dir", folder, "--port-base", str(base)]
        shop = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            opened = shop.stdout.readline().strip()
            assert opened == f"shop is open at {SCHEME}://127.0.0.1:{base}", opened
            http = direct(os.path.join(folder, "tls", "ca.pem") if SCHEME == "https" else None)
            buy(http, f"{SCHEME}://127.0.0.1:{base}/api/v1")
            shop.send_signal(signal.SIGTERM)
            assert shop.wait(timeout=30) == 0, shop.returncode
        finally:
            shop.kill()
