"""Reads rustdoc's JSON of each published crate and complains of every public item that names a foreign type.

A type of another crate in a signature ties our versions to theirs. What may be named is listed here.
"""

import json
import pathlib
import sys

import house

EVERYWHERE = {"alloc", "bytes", "core", "futures_core", "http", "http_body", "std", "tower_layer", "tower_service"}
"""Crates whose types may stand in every signature."""

ANYWHERE = {
    "tokio::time::instant::Instant": "the clock that a paused test moves; core re-exports it",
    "pin_project_lite::__private::PinnedFieldsOf": "in the hidden `Unpin` impl that the macro writes",
}
"""Single types that may, and why."""

ADAPTERS = {
    "bartizan-console": {"axum"},
    "bartizan-client": {"reqwest", "hyper", "hyper_util", "serde", "serde_core", "serde_json"},
}
"""Crates that exist to adapt another one, and whose types they therefore name."""


def allowed(package, path):
    """Tells whether `package` may name the item of this path."""
    owner = path[0]
    ours = owner == "bartizan" or owner.startswith("bartizan_")
    return ours or owner in EVERYWHERE or "::".join(path) in ANYWHERE or owner in ADAPTERS.get(package, ())


def named(node):
    """Yields the ids of the types, traits and re-exported items that a part of an item names."""
    if isinstance(node, list):
        for part in node:
            yield from named(part)
    elif isinstance(node, dict):
        if "id" in node and ("path" in node or "source" in node):
            yield node["id"]
        for part in node.values():
            yield from named(part)


def written(item):
    """Tells whether somebody wrote the item: blanket and auto-trait impls come with every type."""
    inner = item["inner"].get("impl")
    return inner is None or not (inner["is_synthetic"] or inner["blanket_impl"])


def signature(item):
    """Returns the parts of an item that its users see; its children are items of their own."""
    (kind, inner), = item["inner"].items()
    return {} if kind == "module" else inner


def complaints(package, folder):
    """Yields a line for each public item of `package` that names what it may not."""
    told = json.loads((folder / f"{package.replace('-', '_')}.json").read_text())
    for item in told["index"].values():
        if item["crate_id"] != 0 or not written(item):
            continue
        for target in named(signature(item)):
            summary = told["paths"].get(str(target))
            if summary and not allowed(package, summary["path"]):
                span = item["span"] or {"filename": "?", "begin": [0]}
                place = f"{span['filename']}:{span['begin'][0]}"
                yield f"{place}: {item['name'] or next(iter(item['inner']))} names {'::'.join(summary['path'])}"


if __name__ == "__main__":
    packages = house.published(house.metadata("--no-deps"))
    found = [line for package in packages for line in complaints(package, pathlib.Path(sys.argv[1]))]
    print(*sorted(set(found)), sep="\n")
    sys.exit(bool(found))
