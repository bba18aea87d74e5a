"""Counts the rows of the conformance list that hold.

    conformance.py LOG

tests/conformance/rows.txt lists the ids of the rows that are due. One, `B07`, holds when the tests that are named by
it, `b07_…`, ran and passed.
"""

import pathlib
import re
import sys

RESULT = re.compile(r"^test (?:\S+::)?([a-z]\d\d)_\S*(?: - should panic)? \.\.\. (\w+)", re.MULTILINE)


def due():
    """Returns the ids of the rows that must hold."""
    return re.findall(r"^[A-Z]\d\d$", pathlib.Path("tests/conformance/rows.txt").read_text(), re.MULTILINE)


def held(log):
    """Returns the ids of the rows that have tests, all of which passed."""
    results = {}
    for row, result in RESULT.findall(log):
        results.setdefault(row.upper(), set()).add(result)
    return {row for row, seen in results.items() if seen == {"ok"}}


if __name__ == "__main__":
    rows = due()
    holding = held(pathlib.Path(sys.argv[1]).read_text(errors="replace"))
    missing = [row for row in rows if row not in holding]
    print(f"conformance: {len(rows) - len(missing)}/{len(rows)}", *missing)
    sys.exit(bool(missing) or not rows)
