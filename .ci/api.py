#!/usr/bin/env python3
"""Runs a property-based tester over the shop's API, by its own OpenAPI document: `.ci/api.py SHOP [OPTION…]`,
with the shop's program and options for the tester.

Starts a shop of its own, with real accounts, and fails on every finding, and when the invariants do not hold afterwards.
Exits with 77 where the tester cannot be installed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

TESTER = "schemathesis==4.32.5"
SEED, EXAMPLES, SECONDS = "8", "40", "60"
PHASES = ["coverage", "fuzzing", "stateful"]
# One customer may ask for 50 a second.
RATE = 45
BASE = int(os.environ.get("API_PORT_BASE", "18480"))
ACCOUNT = {"SHOP_ADMIN_EMAIL": "admin@example.org", "SHOP_ADMIN_PASSWORD": "correct horse"}
TOKEN = "the-ops-token"

here = pathlib.Path(__file__).resolve().parent
root = here.parent
tools = root / "target/ci/tools/schemathesis"
tester = tools / "bin/schemathesis"


def install():
    """The tester, in an environment of its own."""
    pip = [str(tools / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TESTER]
    for command in ([sys.executable, "-m", "venv", str(tools)], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"SKIPPED: {TESTER} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
            sys.exit(77)


def wait(url, shop):
    for _ in range(200):
        try:
            return urllib.request.urlopen(url, timeout=1)
        except OSError:
            if shop.poll() is not None:
                sys.exit("the shop did not open")
            time.sleep(0.1)
    sys.exit("the shop is not ready")


def main():
    if not tester.exists():
        install()
    shop, url = sys.argv[1], f"http://127.0.0.1:{BASE}"
    with tempfile.TemporaryDirectory() as folder:
        own = {"SHOP_TOKEN": TOKEN, "SHOP_CHEAP_PASSWORDS": "1", "SHOP_LOG": "error", **ACCOUNT}
        environment = {"PATH": os.environ.get("PATH", ""), **own}
        place = ["--data-dir", folder, "--port-base", str(BASE)]
        running = subprocess.Popen([shop, *place], env=environment, stdout=subprocess.DEVNULL)
        try:
            wait(f"{url}/readyz", running)
            tested = subprocess.run(
                [str(tester), "--no-color", "--config-file", str(here / "api.toml"), "run", f"{url}/openapi.json"]
                + ["--checks", "all", "--mode", "all", "--seed", SEED, "--max-examples", EXAMPLES]
                + ["--max-time", SECONDS, "--rate-limit", f"{RATE}/s", "--generation-database", "none"]
                + ["--request-timeout", "10", "--report", "json", "--report-json-path", "report.json", *sys.argv[2:]],
                env={**os.environ, **own, "SCHEMATHESIS_HOOKS": str(here / "api_hooks.py")},
                cwd=folder,
            )
            report = json.loads((pathlib.Path(folder) / "report.json").read_text())
            checked = subprocess.run([shop, *place, "check", "--wait", "60s"], env=environment)
        finally:
            running.terminate()
            running.wait(20)
    operations, skipped = report["operations"], [name for name in PHASES if report["phases"][name]["status"] == "skip"]
    if operations["tested"] < operations["total"] or skipped:
        sys.exit(f"not everything was tested: {operations}, without {skipped}")
    sys.exit(tested.returncode or checked.returncode)


if __name__ == "__main__":
    main()
