#!/usr/bin/env python3
"""Copies the shop elsewhere, and deletes its mail, by the very commands of its README.

    copied.py          tests of the copy that show that it is whole
    copied.py --all    all of its tests that need no more than cargo

What others have compiled in the workspace's target folder is compiled for the copy as well, and is taken from there.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "examples/shop/README.md"

SHOWS = ["arrows::", "journey::"]
"""Modules of tests from outside that show that a shop is whole: who knows whom, and that it sells."""

INSIDE = ["services::", "stacks::", "stage::check::", "stage::faults::"]
"""The same of tests from inside."""

MAIL = "Name::Mail"


def commands(section):
    """Returns the first block of commands below a heading of the README."""
    text = README.read_text()
    found = re.search(rf"^## {re.escape(section)}\n(?:(?!^## ).*\n)*?```sh\n((?:(?!```).*\n)*)```", text, re.MULTILINE)
    if not found:
        raise SystemExit(f"{README} has no commands below {section!r}")
    return found.group(1)


def run(*command, cwd, **more):
    """Runs a command, and returns what it said. It is shown as well."""
    print("==", *command, flush=True)
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    print(done.stdout, flush=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}")
    return done.stdout


def test(copy, *which):
    """Builds the copy, without a warning, and runs tests of it."""
    target = ROOT / "target"
    # The programs stay apart from those of the workspace, which others test.
    apart = {"CARGO_TARGET_DIR": str(target / "ci/copy"), "CARGO_BUILD_BUILD_DIR": str(target)}
    said = run("cargo", "test", "--no-fail-fast", *which, cwd=copy, env={**os.environ, **apart})
    if re.search(r"^warning", said, re.MULTILINE):
        raise SystemExit("the copy is built with warnings")
    passed = sum(int(count) for count in re.findall(r"^test result: ok\. (\d+) passed", said, re.MULTILINE))
    if passed == 0:
        raise SystemExit("no test of the copy ran")


def main():
    everything = "--all" in sys.argv[1:]
    # The same place each time, so that what was compiled of the last copy makes way for what is compiled of this one.
    place = hashlib.sha256(str(ROOT).encode()).hexdigest()[:16]
    copy = pathlib.Path(tempfile.gettempdir()) / f"shop-{place}"
    shutil.rmtree(copy, ignore_errors=True)
    try:
        env = {**os.environ, "COPY": str(copy), "BARTIZAN": str(ROOT)}
        run("bash", "-euxc", commands("Copy it"), cwd=ROOT, env=env)
        test(copy, *([] if everything else ["--test", "shop", "--", *SHOWS]))
        run("bash", "-euxc", commands("Delete what you do not need"), cwd=copy)
        left = [file for file in copy.rglob("src/**/*.rs") if MAIL in file.read_text()]
        if left or (copy / "src/services/mail").exists():
            raise SystemExit(f"mail is still there: {left}")
        test(copy, *([] if everything else ["--", *SHOWS, *INSIDE]))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


if __name__ == "__main__":
    main()
