"""Copies the published crates, without what only their tests need, to a workspace of their own.

    lowest.py FOLDER

There a resolver can take the lowest version that each manifest allows, with no peer or framework to object.
"""

import pathlib
import re
import shutil
import sys

import house


def without(manifest, *tables):
    """Returns a manifest without the tables of these names, with their comments."""
    parts = re.split(r"(?m)^(?=\[)", manifest)
    return "".join(part for part in parts if not part.startswith(tables))


if __name__ == "__main__":
    copy = pathlib.Path(sys.argv[1])
    shutil.rmtree(copy / "crates", ignore_errors=True)
    shutil.copytree("crates", copy / "crates", ignore=shutil.ignore_patterns("tests", "benches", "examples"))
    for manifest in copy.glob("crates/*/Cargo.toml"):
        manifest.write_text(without(manifest.read_text(), "[dev-dependencies", f"[target.'{house.MODELS}'"))
    root = pathlib.Path("Cargo.toml").read_text()
    (copy / "Cargo.toml").write_text(re.sub(r"(?m)^members = .*$", 'members = ["crates/*"]', root))
