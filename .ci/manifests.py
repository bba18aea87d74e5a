"""What must hold of the manifests: few dependencies, and none that asks for a newer compiler than ours."""

import subprocess
import sys

import house

AT_MOST = 8
"""Direct dependencies of a published crate. A ninth is a feature, or one too many."""


def version(text):
    """Orders `1.85` and `1.85.1`."""
    return tuple(int(part) for part in (text + ".0.0").split(".")[:3])


ASSEMBLE = {"bartizan", "bartizan-policy", "bartizan-stack"}
"""Crates that put others of ours together. Of theirs, only what is not ours is counted."""


TARGETS = ["aarch64-apple-darwin", "x86_64-pc-windows-msvc", "x86_64-unknown-linux-gnu"]


def closure(told, package):
    """Returns the packages that a user of `package` compiles with all its features. Asked of the package alone: what the workspace's
    tests ask of the same dependencies is not theirs."""
    command = ["cargo", "tree", "--locked", "-p", package["name"], "--all-features", "-e", "normal,build"]
    command += ["--prefix", "none", "--format", "{p}"]
    command += [word for target in TARGETS for word in ("--target", target)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    # A line is a name, a version with a `v` before it, and what else there is to say.
    compiled = {tuple(line.split()[:2]) for line in lines if line}
    return [package for package in told["packages"] if (package["name"], f"v{package['version']}") in compiled]


def complaints():
    """Yields a sentence for each thing that does not hold."""
    told = house.metadata("--all-features")
    for name, package in house.published(told).items():
        direct = [dependency["name"] for dependency in house.normal(package)]
        if name in ASSEMBLE:
            direct = [dependency for dependency in direct if not dependency.startswith("bartizan-")]
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
