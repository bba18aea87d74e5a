"""What cargo knows of the workspace.

    house.py published   the packages that are published, as `-p` options
    house.py features    a line for each of their features, `package feature`, and one for none
"""

import json
import subprocess
import sys


def metadata(*options):
    """Returns what `cargo metadata` tells."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def published(told):
    """Returns the packages of the workspace that may be published, by name."""
    members = set(told["workspace_members"])
    own = [package for package in told["packages"] if package["id"] in members and package["publish"] != []]
    return {package["name"]: package for package in sorted(own, key=lambda package: package["name"])}


MODELS = "cfg(bartizan_loom)"
"""Where loom's models are compiled, and nobody's program."""


def normal(package):
    """Returns the dependencies that everyone who uses the package compiles."""
    return [
        dependency
        for dependency in package["dependencies"]
        if dependency["kind"] is None and not dependency["optional"] and dependency["target"] != MODELS
    ]


if __name__ == "__main__":
    packages = published(metadata("--no-deps"))
    match sys.argv[1:]:
        case ["published"]:
            print(*(f"-p {name}" for name in packages))
        case ["features"]:
            for name, package in packages.items():
                print(name)
                for feature in package["features"]:
                    if feature != "default":
                        print(name, feature)
        case _:
            sys.exit(__doc__)
