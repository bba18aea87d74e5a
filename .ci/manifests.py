"""What must hold of the manifests: few dependencies, and none that asks for a newer compiler than ours."""

import sys

import house

AT_MOST = 8
"""Direct dependencies of a published crate. A ninth is a feature, or one too many."""


def version(text):
    """Orders `1.85` and `1.85.1`."""
    return tuple(int(part) for part in (text + ".0.0").split(".")[:3])


def closure(told, package):
    """Returns the packages that a user of `package` compiles with all its features: normal and build edges."""
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    seen, todo = set(), [package["id"]]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        for edge in nodes[here]["deps"]:
            if any(kind["kind"] != "dev" and kind["target"] != house.MODELS for kind in edge["dep_kinds"]):
                todo.append(edge["pkg"])
    return [package for package in told["packages"] if package["id"] in seen]


def complaints():
    """Yields a sentence for each thing that does not hold."""
    told = house.metadata("--all-features")
    for name, package in house.published(told).items():
        direct = [dependency["name"] for dependency in house.normal(package)]
        if len(direct) > AT_MOST:
            yield f"{name} has {len(direct)} direct dependencies, {AT_MOST} are allowed: {', '.join(direct)}"
        for dependency in closure(told, package):
            asks = dependency["rust_version"]
            if asks and version(asks) > version(package["rust_version"]):
                yield f"{name} is for rust {package['rust_version']}, but {dependency['name']} {dependency['version']} asks for {asks}"


if __name__ == "__main__":
    found = list(complaints())
    print(*found, sep="\n")
    sys.exit(bool(found))
