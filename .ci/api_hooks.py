"""Who the tester is: an admin who restocks, a customer who buys, and for what ends sessions somebody who has just come."""

import itertools
import json
import os
import threading
import urllib.request

import schemathesis

ADMIN = {"email": os.environ["SHOP_ADMIN_EMAIL"], "password": os.environ["SHOP_ADMIN_PASSWORD"]}

turns = itertools.count()
lock = threading.Lock()
tokens = {}


def post(base, path, body):
    headers = {"content-type": "application/json", "x-shop-token": os.environ["SHOP_TOKEN"]}
    request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=10))


def log_in(base, user=None):
    if user is None:
        user = {"email": f"tester-{next(turns)}@example.org", "password": "correct horse"}
        post(base, "/api/v1/users", {"name": "Tester", **user})
    return post(base, "/api/v1/sessions", user)["token"]


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, context):
        base, path = case.operation.base_url.rstrip("/"), case.operation.path
        if "/sessions" in path or path.endswith("/password"):
            return log_in(base)
        who = ADMIN if path.endswith("/stock") else None
        with lock:
            key = "admin" if who else "customer"
            if key not in tokens:
                tokens[key] = log_in(base, who)
            return tokens[key]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """The limits by address are for others."""
    case.headers = case.headers or {}
    case.headers["x-shop-token"] = os.environ["SHOP_TOKEN"]
