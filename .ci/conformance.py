"""Counts the rows of the conformance list that hold.

    conformance.py LOG

A row is named by an id, `B07`, and holds when the tests named by it, `b07_…`, ran and passed. All rows of the
breaker and of the deadline are due, and those about several layers that tests/conformance/rows.txt lists.
"""

import pathlib
import re
import sys

RESULT = re.compile(r"^test (?:\S+::)?([bcd]\d\d)_\S*(?: - should panic)? \.\.\. (\w+)", re.MULTILINE)


def due():
    """Returns the ids of the rows that must hold."""
    breaker = [f"B{n:02}" for n in range(1, 50)]
    deadline = [f"D{n:02}" for n in range(1, 23)]
    several = re.findall(r"^C\d\d", pathlib.Path("tests/conformance/rows.txt").read_text(), re.MULTILINE)
    return breaker + deadline + several


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
    print(f"conformance: {len(rows) - len(missing)}/{len(rows)}" + (f", missing {' '.join(missing)}" if missing else ""))
    sys.exit(bool(missing))
